#!/usr/bin/env node
// What fetching an update takes of the heap: a virtual device fetches over http from a server here, under valgrind's massif,
// because its channel has it (`channel`), or as a message says so (`job`). Counted is what the door's thread holds at a time,
// from the check or the message to the switch; what libcurl and libmosquitto allocate for themselves is their own. Prints
// the bytes.
import { execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
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

// In the door's thread, and not in a library, but for what the ports keep for it: a piece of the body, a message.
const ours = frames => /: (take_body|copy) \(/.test(frames[0]) ||
    (frames.some(f => /: work \(lock\.c/.test(f)) && !frames.some(f => /in \S*lib(curl|mosquitto)/.test(f)));

function most(text) {
    let best = 0;
    for (const snapshot of text.split('#-----------\nsnapshot=').slice(1)) {
        const lines = snapshot.split('\n').filter(l => /^ *n\d+:/.test(l));
        best = Math.max(best, leaves(lines).filter(([, frames]) => ours(frames)).reduce((sum, [bytes]) => sum + bytes, 0));
    }
    return best;
}

async function start_broker() {
    const probe = net.createServer();
    await new Promise(done => probe.listen(0, '127.0.0.1', done));
    const port = probe.address().port;
    await new Promise(done => probe.close(done));
    const child = spawn('/usr/sbin/mosquitto', ['-p', String(port)], { stdio: 'ignore' });
    return { child, port, stop: () => child.kill('SIGKILL') };
}

// How each door is told of the server at url, and then asked for the update.
const DOORS = {
    async channel(url) {
        fs.writeFileSync(file('board.yaml'), `ota:\n  channels:\n    - {name: stable, path: "${url}/stable.json"}\n`);
        return { args: ['--board', file('board.yaml')], ask: async at => fetch(at + '/api/v1/firmware/update', { method: 'POST' }) };
    },
    async job(url) {
        const broker = await start_broker();
        const job = { update_url: `${url}/image${QUERY}`, job_id: 'heap', version: '1.1.0' };
        const say = () => execFileSync('mosquitto_pub', ['-p', String(broker.port), '-q', '1', '-r', '-t', 'otter/heap/update', '-m', JSON.stringify(job)]);
        return { args: ['--mqtt', `mqtt://127.0.0.1:${broker.port}`, '--id', 'heap'], begins: /connected to/, ask: say, stop: broker.stop };
    },
};

async function measure(name) {
    image('1.0.0');
    const server = await serve(image('1.1.0'));
    const door = await DOORS[name](`http://127.0.0.1:${server.address().port}`);
    const device = spawn('valgrind', ['--tool=massif', '--trace-children=yes', '--detailed-freq=1', '--max-snapshots=1000', '--time-unit=B',
        '--threshold=0', '--depth=60', `--massif-out-file=${file('massif.%p')}`, path.join(root, 'build/libexec/otter/otter-device'), 'run',
        '--flash', file('flash'), '--image', file('1.0.0'), ...door.args, '--time', 'fast'], { stdio: ['ignore', 'pipe', 'ignore'] });
    let log = '';
    device.stdout.on('data', d => { log += d; });
    const said = async pattern => {
        for (let i = 0; i < 1200; i++, await sleep(100)) if (pattern.test(log)) return pattern.exec(log);
        throw new Error(`the device never said ${pattern}: ${log}`);
    };
    try {
        const [, url] = await said(/listening on (\S+)/);
        if (door.begins) await said(door.begins);
        await door.ask(url);
        await said(/switched[^]*ESP-ROM/);
    } finally {
        device.kill('SIGKILL');
        door.stop?.();
        server.closeAllConnections();
        server.close();
    }
    return Math.max(...fs.readdirSync(dir).filter(n => n.startsWith('massif.')).map(n => most(fs.readFileSync(file(n), 'utf8'))));
}

try {
    const name = process.argv[2];
    if (!DOORS[name]) throw new Error('which door: channel or job?');
    console.log(await measure(name));
} finally {
    fs.rmSync(dir, { recursive: true, force: true });
}
