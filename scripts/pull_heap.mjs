#!/usr/bin/env node
// What fetching an update takes of the heap: a virtual device fetches over http from a server here, under valgrind's massif.
// Counted is what the channel door's thread holds at a time, from the check to the switch; what libcurl allocates for itself
// is its own. Prints the bytes.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

const root = new URL('..', import.meta.url).pathname, OTTER = path.join(root, 'build/otter');
const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'otter-heap-'));
const file = name => path.join(dir, name);

function image(version) {
    execFileSync(OTTER, ['image', 'synth', '--chip', 'esp32c3', '--project', 'demo', '--version', version, '--size', '100K', '-o', file(version)], { stdio: 'ignore' });
    return fs.readFileSync(file(version));
}

// A query as long as a presigned URL's with a session's token.
const QUERY = '?X-Amz-Signature=' + 'a'.repeat(1500);

async function serve(bytes) {
    const sha256 = createHash('sha256').update(bytes).digest('hex');
    const descriptor = { version: '1.1.0', path: 'image' + QUERY, size: bytes.length, sha256, notes: 'n'.repeat(500) };
    const server = http.createServer((q, r) => {
        r.setHeader('ETag', '"one"');
        r.end(q.url.startsWith('/image') ? bytes : JSON.stringify(descriptor));
    });
    await new Promise(done => server.listen(0, '127.0.0.1', done));
    return server;
}

// The tree of one snapshot as leaves: [bytes, frames], the frame that allocates first.
function leaves(lines) {
    const found = [], walk = frames => {
        const [, children, bytes, what] = /^ *n(\d+): (\d+) (.*)$/.exec(lines.shift());
        const here = what.startsWith('(') ? frames : [...frames, what];
        if (children === '0') found.push([Number(bytes), here]);
        for (let i = 0; i < Number(children); i++) walk(here);
    };
    if (lines.length) walk([]);
    return found;
}

// In the door's thread, and not in libcurl, but for the piece that the port keeps for it.
const ours = frames => frames.some(f => /: work \(lock\.c/.test(f)) &&
    (/: take_body \(/.test(frames[0]) || !frames.some(f => /in \S*libcurl/.test(f)));

function most(text) {
    let best = 0;
    for (const snapshot of text.split('#-----------\nsnapshot=').slice(1)) {
        const lines = snapshot.split('\n').filter(l => /^ *n\d+:/.test(l));
        best = Math.max(best, leaves(lines).filter(([, frames]) => ours(frames)).reduce((sum, [bytes]) => sum + bytes, 0));
    }
    return best;
}

async function measure() {
    image('1.0.0');
    const server = await serve(image('1.1.0'));
    const from = `http://127.0.0.1:${server.address().port}`;
    fs.writeFileSync(file('board.yaml'), `ota:\n  channels:\n    - {name: stable, path: "${from}/stable.json"}\n`);
    const device = spawn('valgrind', ['--tool=massif', '--trace-children=yes', '--detailed-freq=1', '--max-snapshots=1000', '--time-unit=B',
        '--threshold=0', '--depth=60', `--massif-out-file=${file('massif.%p')}`, path.join(root, 'build/libexec/otter/otter-device'), 'run',
        '--flash', file('flash'), '--image', file('1.0.0'), '--board', file('board.yaml'), '--time', 'fast'], { stdio: ['ignore', 'pipe', 'ignore'] });
    let log = '';
    device.stdout.on('data', d => { log += d; });
    const said = async pattern => {
        for (let i = 0; i < 1200; i++, await sleep(100)) if (pattern.test(log)) return pattern.exec(log);
        throw new Error(`the device never said ${pattern}: ${log}`);
    };
    try {
        const [, url] = await said(/listening on (\S+)/);
        await fetch(url + '/api/v1/firmware/update', { method: 'POST' });
        await said(/switched[^]*ESP-ROM/);
    } finally {
        device.kill('SIGKILL');
        server.closeAllConnections();
        server.close();
    }
    return Math.max(...fs.readdirSync(dir).filter(n => n.startsWith('massif.')).map(n => most(fs.readFileSync(file(n), 'utf8'))));
}

try {
    console.log(await measure());
} finally {
    fs.rmSync(dir, { recursive: true, force: true });
}
