#!/usr/bin/env node
// An update over loopback, end to end, uploaded and by channel: a virtual device whose flash takes its time, against the flash's
// floor; and one whose flash takes none, `otter push` against curl in turn. A fresh device for each.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';

const otter = new URL('../build/otter', import.meta.url).pathname, RUNS = 15;
// W25Q32JV-class, as ports/sim/nor.c has it: 64 KiB erases and page writes.
const FLOOR_MS = (bytes) => Math.ceil(bytes / 65536) * 150 + Math.ceil(bytes / 256) * 0.4;
// Memory, so that no disk is measured.
const dir = mkdtempSync(join(process.env.OTTER_BENCH_DIR || '/dev/shm', 'otter-bench-'));
const at = (name) => join(dir, name);

function listening(device) {
    return new Promise((done, failed) => {
        let text = '';
        device.stdout.on('data', (d) => {
            text += d;
            const url = text.match(/listening on (http:\S+)/);
            if (url) done(url[1]);
        });
        device.on('exit', () => failed(new Error('the device ended')));
    });
}

// Milliseconds that a client takes from its start to its end.
async function update(time, client) {
    rmSync(at('flash.bin'), { force: true });
    const device = spawn(otter, ['device', 'run', '--flash', at('flash.bin'), '--image', at('old.bin'), '--board', at('board.yaml'), '--time', time],
        { stdio: ['ignore', 'pipe', 'inherit'] });
    const ended = new Promise((done) => device.on('close', done));
    try {
        const argv = client(await listening(device)), start = process.hrtime.bigint();
        await new Promise((done, failed) => spawn(argv[0], argv.slice(1), { stdio: 'ignore' })
            .on('close', (code) => (code ? failed(new Error(`${argv.join(' ')}: ${code}`)) : done())));
        return Number(process.hrtime.bigint() - start) / 1e6;
    } finally {
        device.kill();
        await ended;
    }
}

const push = (url) => [otter, 'push', at('new.bin'), url, '--no-wait', '--quiet'];
const curl = (url) => ['curl', '-sf', '--data-binary', `@${at('new.bin')}`, `${url}/api/v1/firmware/upload`];
const channel = (url) => ['curl', '-sf', '-X', 'POST', `${url}/api/v1/firmware/update`];

// What devices fetch from.
const server = http.createServer((q, r) => (q.url === '/new.bin' ? r.end(image) : r.end(JSON.stringify({ version: '2.0.0', path: 'new.bin' }))));
const source = () => `http://127.0.0.1:${server.address().port}`;
let image;

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];
const row = (what, a, b) => console.log(`| ${what} | ${a.toFixed(0)} ms | ${b.toFixed(0)} ms | ${(a / b).toFixed(2)} |`);

try {
    const synth = (version, size, file) => JSON.parse(execFileSync(otter, ['image', 'synth', '--chip', 'esp32c3', '--version', version,
        '--project', 'b', '--size', size, '--json', '-o', at(file)], { encoding: 'utf8' }));
    synth('1.0.0', '200K', 'old.bin');
    const { size } = synth('2.0.0', '1535K', 'new.bin');
    image = readFileSync(at('new.bin'));
    await new Promise((done) => server.listen(0, '127.0.0.1', done));
    writeFileSync(at('board.yaml'), `ota:\n  channels:\n    - {name: b, path: "${source()}/b.json"}\n`);
    console.log('| over loopback | median | yardstick | ratio |\n| --- | --- | --- | --- |');
    row('`otter push`, flash takes its time / flash floor', await update('real', push), FLOOR_MS(size));
    row('an update by channel, flash takes its time / flash floor', await update('real', channel), FLOOR_MS(size));
    const mine = [], theirs = [];
    for (let i = 0; i < RUNS; i++) {
        mine.push(await update('fast', push));
        theirs.push(await update('fast', curl));
    }
    row('`otter push` / `curl`, flash takes no time', median(mine), median(theirs));
} finally {
    server.close();
    server.closeAllConnections();
    rmSync(dir, { recursive: true, force: true });
}
