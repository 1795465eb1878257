#!/usr/bin/env node
// Instructions a byte of one update, counted by callgrind: the engine's own, the model's, SHA-256's.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const bench = new URL('../build/otter-bench', import.meta.url).pathname, SIZE = 1536 * 1024;
const dir = mkdtempSync(join(tmpdir(), 'otter-bench-'));

// Self cost by source file, or by object where a library has no debug information. The format: valgrind's manual,
// "Callgrind Format Specification".
function costs(text) {
    const names = { file: {}, object: {} }, sum = new Map();
    let file = '', object = '', inclusive = false;
    const name = (kind, id, given) => (given ? (names[kind][id] = given.trim()) : names[kind][id]);
    for (const line of text.split('\n')) {
        const [, key, id, given] = line.match(/^(fl|fi|fe|ob)=\((\d+)\)(.*)$/) ?? [];
        if (key === 'ob') object = name('object', id, given);
        else if (key) file = name('file', id, given);
        else if (line.startsWith('calls=')) inclusive = true;
        else if (/^[+\-*\d]/.test(line)) {
            const where = file && file !== '???' ? file : object;
            if (!inclusive) sum.set(where, (sum.get(where) ?? 0) + Number(line.split(' ')[1]));
            inclusive = false;
        } else {
            // A callee's name given for the first time holds for later references too.
            const [, ckind, cid, cgiven] = line.match(/^c(fi|fl|ob)=\((\d+)\)(.*)$/) ?? [];
            if (ckind && cgiven) name(ckind === 'ob' ? 'object' : 'file', cid, cgiven);
        }
    }
    return sum;
}

try {
    const out = join(dir, 'callgrind.out');
    execFileSync('valgrind', ['--quiet', '--tool=callgrind', '--toggle-collect=sim_world_push', `--callgrind-out-file=${out}`,
        bench, 'update'], { stdio: ['ignore', 'ignore', 'inherit'] });
    const all = [...costs(readFileSync(out, 'utf8'))];
    const of = (pattern) => all.filter(([where]) => pattern.test(where)).reduce((n, [, cost]) => n + cost, 0) / SIZE;
    const sha = of(/mbedcrypto/), rows = {
        'engine: `core`, `format`': of(/\/(core|format)\/\w+\.[ch]$/), 'SHA-256 (mbedTLS, no SHA instructions)': sha,
        'model: flash': of(/\/ports\/sim\//), 'the C library\'s copies and comparisons': of(/libc|string|mem/),
    };
    console.log('| instructions a byte | | / SHA-256 |\n| --- | --- | --- |');
    for (const [what, n] of Object.entries(rows)) console.log(`| ${what} | ${n.toFixed(2)} | ${(n / sha).toFixed(2)} |`);
    if (process.argv.includes('--all')) console.log(all.sort((a, b) => b[1] - a[1]).slice(0, 20));
} finally {
    rmSync(dir, { recursive: true, force: true });
}
