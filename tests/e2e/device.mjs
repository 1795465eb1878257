// A bench for end-to-end tests: images, virtual devices, curl, raw sockets. Knows the tool from outside only; what it
// starts it ends, and what it writes lies in one temporary directory that goes with it.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
export const OTTER = process.env.OTTER || path.join(ROOT, 'build/otter');
export const VECTORS = path.join(ROOT, 'tests/vectors');
export const PATIENCE_MS = 20000;

// Credentials of whoever runs the tests are not the devices'.
const { OTTER_USER: _user, OTTER_TOKEN: _token, ...ENV } = process.env;

// Waits until look() gives something true; the last error or value says why it never did.
export async function until(what, look, ms = PATIENCE_MS) {
    let last;
    for (const end = Date.now() + ms; Date.now() < end; await sleep(20)) {
        try {
            last = await look();
            if (last) return last;
        } catch (e) {
            last = e;
        }
    }
    const seen = last instanceof Error ? last.message : JSON.stringify(last);
    throw new Error(`${what}: not within ${ms} ms; last: ${seen}`);
}

// ---- programs

// Runs a program to its end: {code, out, err}, both texts.
export function run(program, args, { input, env = {}, ms = PATIENCE_MS } = {}) {
    return new Promise((done, failed) => {
        const child = spawn(program, args, { env: { ...ENV, ...env }, stdio: 'pipe' });
        const late = setTimeout(() => child.kill('SIGKILL'), ms);
        let out = '', err = '';
        child.stdout.on('data', d => { out += d; });
        child.stderr.on('data', d => { err += d; });
        child.on('error', failed);
        child.on('close', (code, signal) => {
            clearTimeout(late);
            done({ code: code ?? signal, out, err });
        });
        child.stdin.on('error', () => {});
        child.stdin.end(input);
    });
}

export const otter = (args, options) => run(OTTER, args.map(String), options);

function readHeaders(text) {
    const headers = {};
    for (const line of text.split('\r\n').slice(1)) {
        const colon = line.indexOf(':');
        if (colon > 0) headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim();
    }
    return headers;
}

// ---- raw HTTP, for what no proper client sends

export function head(method, target, headers = {}) {
    const all = { Host: '127.0.0.1', ...headers };
    const given = Object.entries(all).filter(([, value]) => value != null);
    const lines = given.map(([name, value]) => `${name}: ${value}\r\n`);
    return `${method} ${target} HTTP/1.1\r\n${lines.join('')}\r\n`;
}

// A connection that keeps what came, and whether it was ended in order or reset.
export class Raw {
    constructor(port) {
        this.bytes = Buffer.alloc(0);
        this.sent = 0;
        this.socket = net.connect(port, '127.0.0.1');
        this.socket.setNoDelay(true);
        this.socket.on('data', d => { this.bytes = Buffer.concat([this.bytes, d]); });
        this.socket.on('error', e => { this.error = e.code; });
        this.closed = new Promise(done => this.socket.once('close', done)).then(() => { this.ended = true; });
    }

    // Hands the bytes to the kernel; false if the connection is gone.
    async write(data) {
        if (this.ended || this.socket.destroyed) return false;
        const drained = new Promise(done => this.socket.write(data, e => done(!e)));
        const ok = await Promise.race([drained, this.closed.then(() => false)]);
        if (ok) this.sent += data.length;
        return ok;
    }

    // The next reply, interim ones skipped: {status, headers, body}. Bodies end by their Content-Length here.
    async reply(ms) {
        return until('a reply', () => this.take(), ms);
    }

    take() {
        const end = this.bytes.indexOf('\r\n\r\n');
        if (end < 0) {
            if (this.ended) return { status: 0, headers: {}, body: '' };
            return null;
        }
        const text = this.bytes.toString('latin1', 0, end), status = Number(text.slice(9, 12));
        const headers = readHeaders(text), length = Number(headers['content-length'] || 0);
        if (status === 100) {
            this.continued = true;
            this.bytes = this.bytes.subarray(end + 4);
            return null;
        }
        if (this.bytes.length < end + 4 + length) {
            if (this.ended) return { status: 0, headers, body: this.bytes.toString('latin1', end + 4) };
            return null;
        }
        const body = this.bytes.toString('utf8', end + 4, end + 4 + length);
        this.bytes = this.bytes.subarray(end + 4 + length);
        return { status, headers, body };
    }

    close() {
        this.socket.destroy();
    }
}

// ---- devices

class Device {
    constructor(bench, name, options) {
        this.bench = bench;
        this.flash = path.join(bench.dir, name + '.flash');
        this.options = { time: 'fast', port: 0, args: [], env: {}, ...options };
        this.port = this.options.port;
        if (this.options.from) fs.copyFileSync(this.options.from, this.flash);
        this.log = '';
    }

    args() {
        const o = this.options;
        const args = ['device', 'run', '--flash', this.flash, '--http', `127.0.0.1:${this.port}`, '--time', o.time];
        if (o.image) args.push('--image', o.image);
        if (o.table) args.push('--table', o.table);
        if (o.chip) args.push('--chip', o.chip);
        if (o.scenario) args.push('--scenario', this.bench.file(JSON.stringify(o.scenario), '.json'));
        return [...args, ...o.args];
    }

    // Power on: until the firmware listens.
    async start() {
        const from = this.log.length;
        const env = { ...ENV, ...this.options.env };
        this.child = spawn(OTTER, this.args(), { env, stdio: ['ignore', 'pipe', 'pipe'] });
        this.gone = new Promise(done => this.child.once('close', done)).then(code => { this.off = true; return code; });
        this.off = false;
        for (const stream of [this.child.stdout, this.child.stderr]) stream.on('data', d => { this.log += d; });
        const m = await this.said(/listening on (http:\/\/127\.0\.0\.1:(\d+))/, from);
        this.url = m[1];
        this.port = Number(m[2]);
        return this;
    }

    async stop(signal = 'SIGTERM') {
        if (!this.child || this.off) return;
        this.child.kill(signal);
        const late = setTimeout(() => this.child.kill('SIGKILL'), 2000);
        await this.gone;
        clearTimeout(late);
    }

    // The running firmware's process, stopped and let go on.
    life() { return Number(fs.readFileSync(`/proc/${this.child.pid}/task/${this.child.pid}/children`, 'utf8').trim()); }
    freeze() { process.kill(this.life(), 'SIGSTOP'); }
    thaw() { process.kill(this.life(), 'SIGCONT'); }

    // Waits for a line of the log behind the first `from` characters.
    said(pattern, from = 0, ms) {
        return until(`the device's log never said ${pattern}:\n${this.log.slice(from)}`, () => {
            const m = pattern.exec(this.log.slice(from));
            if (!m && this.off) throw new Error('the device is off: ' + this.log.slice(from));
            return m;
        }, ms);
    }

    // JSON, each time over a connection of its own: one kept would break at the restart.
    get(target) {
        return new Promise((done, failed) => {
            const options = { agent: false, timeout: 5000, ...this.options.http };
            const request = http.get(this.url + target, options, reply => {
                let text = '';
                reply.on('data', d => { text += d; });
                reply.on('error', failed);
                reply.on('end', () => {
                    try { done(JSON.parse(text)); } catch (e) { failed(e); }
                });
            });
            request.on('timeout', () => request.destroy(new Error('no answer')));
            request.on('error', failed);
        });
    }

    // boot_id is counted from 1 here: the device's own begins anywhere.
    async status() {
        const s = await this.get('/api/v1/firmware/status');
        this.firstBoot ??= s.boot_id - 1;
        return { ...s, boot_id: s.boot_id - this.firstBoot };
    }

    // Waits until the status has it.
    seen(what, has, ms) {
        return until(what, async () => {
            const s = await this.status();
            if (has(s)) return s;
            this.last = JSON.stringify(s);
            return null;
        }, ms).catch(e => { throw new Error(`${e.message}; status: ${this.last}`); });
    }

    runs(version, state = 'valid', ms) {
        const has = s => s.running.version === version && s.running.state === state;
        return this.seen(`running ${version} ${state}`, has, ms);
    }

    raw() { return this.bench.keep(new Raw(this.port)); }

    // curl with these arguments on this path: {exit, status, headers, body, err, continued}.
    async curl(target, ...rest) {
        const options = typeof rest.at(-1) === 'object' && !Array.isArray(rest.at(-1)) ? rest.pop() : {};
        const base = path.join(this.bench.dir, `curl-${this.bench.count++}`);
        const args = ['-sS', '-m', '30', '-D', base + '.head', '-o', base + '.body', '-w', '%{http_code}', ...rest,
            this.url + target];
        const r = await run('curl', args, options);
        const read = name => fs.existsSync(name) ? fs.readFileSync(name, 'utf8') : '';
        const heads = read(base + '.head').split('\r\n\r\n').filter(Boolean);
        const reply = { exit: r.code, status: Number(r.out), headers: readHeaders(heads.at(-1) || ''),
            body: read(base + '.body'), err: r.err, continued: heads[0]?.startsWith('HTTP/1.1 100') || false };
        for (const name of [base + '.head', base + '.body']) fs.rmSync(name, { force: true });
        return reply;
    }

    upload(file, ...rest) {
        return this.curl('/api/v1/firmware/upload', '-X', 'POST', '--data-binary', '@' + file, ...rest);
    }

    bytes() { return fs.readFileSync(this.flash); }
}

// ---- the bench

export class Bench {
    constructor() {
        this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'otter-bench-'));
        this.count = 0;
        this.images = new Map();
        this.devices = [];
        this.raws = [];
        // Should the tests be ended in the middle, the devices end, too.
        process.once('exit', () => this.wipe());
        for (const [signal, status] of [['SIGINT', 130], ['SIGTERM', 143]])
            process.once(signal, () => process.exit(status));
    }

    keep(raw) {
        this.raws.push(raw);
        return raw;
    }

    device(options = {}) {
        const d = new Device(this, `device-${this.count++}`, options);
        this.devices.push(d);
        return d.start();
    }

    file(data, suffix = '.bin') {
        const name = path.join(this.dir, `file-${this.count++}${suffix}`);
        fs.writeFileSync(name, data);
        return name;
    }

    // A made-up image, by version; the same options give the same file.
    image(version, { chip = 'esp32c3', project = 'demo', size = 120000, seed = 0 } = {}) {
        const name = path.join(this.dir, `${project}-${version}-${chip}-${size}-${seed}.bin`);
        const args = ['--chip', chip, '--version', version, '--project', project, '--size', size, '--seed', seed];
        if (!this.images.has(name)) this.images.set(name, this.synth(name, args));
        return this.images.get(name);
    }

    async synth(name, args) {
        const r = await otter(['image', 'synth', ...args, '-o', name]);
        if (r.code !== 0) throw new Error('image synth: ' + r.err);
        return name;
    }

    wipe() {
        for (const d of this.devices) if (d.child && !d.off) d.child.kill('SIGKILL');
        fs.rmSync(this.dir, { recursive: true, force: true });
    }

    async close() {
        for (const r of this.raws) r.close();
        await Promise.all(this.devices.map(d => d.stop()));
        this.wipe();
    }
}

export const sha256 = data => createHash('sha256').update(data).digest('hex');

// Puts text into an image's payload at `at`, and makes checksum and SHA-256 right again.
export function patched(file, at, text) {
    const image = fs.readFileSync(file), check = image.length - 33;
    for (const [i, byte] of Buffer.from(text, 'latin1').entries()) {
        image[check] ^= image[at + i] ^ byte;
        image[at + i] = byte;
    }
    createHash('sha256').update(image.subarray(0, -32)).digest().copy(image, image.length - 32);
    return image;
}
