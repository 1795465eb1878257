// An S3 server that checks signatures and their expiry as Amazon's does: OpenStack Swift with s3api, from Debian. It
// lives in a directory of its own, on free loopback ports, and leaves nothing behind.
import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { otter, run, until } from './device.mjs';

const TRIES = 3, START_MS = 60000;
const SERVERS = ['account', 'container', 'object'];
const REGION = 'us-east-1';

// Ports of that address that were free a moment ago, all at once so that they differ.
async function free_ports(address, n) {
    const servers = Array.from({ length: n }, () => net.createServer());
    await Promise.all(servers.map(s => new Promise((done, failed) => {
        s.once('error', failed);
        s.listen(0, address, done);
    })));
    const ports = servers.map(s => s.address().port);
    await Promise.all(servers.map(s => new Promise(done => s.close(done))));
    return ports;
}

function listens(address, port) {
    return new Promise(done => {
        const socket = net.connect(port, address);
        socket.once('connect', () => { socket.destroy(); done(true); });
        socket.once('error', () => done(false));
    });
}

async function program(name, args) {
    const r = await run(`/usr/bin/${name}`, args);
    // Ring builders end with 1 for a mere warning.
    if (r.code !== 0 && r.code !== 1) throw new Error(`${name} ${args.join(' ')}: ${r.out}${r.err}`);
}

class Swift {
    constructor() {
        this.dir = fs.mkdtempSync(path.join(os.tmpdir(), 'otter-s3-'));
        this.children = [];
        this.log = '';
        // Where nobody else looks for a port: what serves the storage meets no other run.
        this.inner = `127.${[0, 0, 0].map(() => randomInt(1, 255)).join('.')}`;
        // Of this run alone, so that another's server is not taken for this one.
        this.secret = randomBytes(16).toString('hex');
    }

    // What a program needs in order to speak to it.
    get env() {
        return { AWS_ACCESS_KEY_ID: 'test:tester', AWS_SECRET_ACCESS_KEY: this.secret, AWS_REGION: REGION,
            AWS_ENDPOINT_URL: this.url, AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
            AWS_PROFILE: undefined, AWS_DEFAULT_PROFILE: undefined, AWS_SESSION_TOKEN: undefined, AWS_SECURITY_TOKEN: undefined };
    }

    common(address, port) {
        return `[DEFAULT]
bind_ip = ${address}
bind_port = ${port}
bind_timeout = 2
workers = 0
user = ${os.userInfo().username}
swift_dir = ${this.dir}
devices = ${this.dir}/srv
mount_check = false
disable_fallocate = true
fallocate_reserve = 0
`;
    }

    async write_storage(name, port) {
        const builder = path.join(this.dir, `${name}.builder`);
        const config = `${this.common(this.inner, port)}[pipeline:main]\npipeline = ${name}-server\n[app:${name}-server]\n`
            + `use = egg:swift#${name}\n`;
        fs.writeFileSync(path.join(this.dir, `${name}.conf`), config);
        await program('swift-ring-builder', [builder, 'create', '4', '1', '1']);
        await program('swift-ring-builder', [builder, 'add', `r1z1-${this.inner}:${port}/disk`, '1']);
        await program('swift-ring-builder', [builder, 'rebalance']);
    }

    // What is asked of the cache is asked in vain: nothing listens there, and nothing has to.
    write_proxy(port) {
        fs.writeFileSync(path.join(this.dir, 'proxy.conf'), `${this.common('127.0.0.1', port)}
[pipeline:main]
pipeline = catch_errors cache s3api tempauth copy slo proxy-server
[app:proxy-server]
use = egg:swift#proxy
allow_account_management = true
account_autocreate = true
[filter:catch_errors]
use = egg:swift#catch_errors
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:1
[filter:s3api]
use = egg:swift#s3api
location = ${REGION}
[filter:tempauth]
use = egg:swift#tempauth
user_test_tester = ${this.secret} .admin
[filter:copy]
use = egg:swift#copy
[filter:slo]
use = egg:swift#slo
`);
    }

    spawn(name) {
        const args = [path.join(this.dir, `${name}.conf`), '--verbose'];
        const child = spawn(`/usr/bin/swift-${name}-server`, args, { stdio: ['ignore', 'pipe', 'pipe'] });
        for (const stream of [child.stdout, child.stderr]) stream.on('data', d => { this.log += d; });
        child.gone = new Promise(done => {
            child.once('error', e => { this.log += `${name}: ${e.message}\n`; child.over = true; done(); });
            child.once('close', () => { child.over = true; done(); });
        });
        this.children.push(child);
    }

    // Whoever answers a signed request with 404 knows the secret.
    async answers() {
        const url = (await otter(['presign', 's3://no-such-bucket/key'], { env: this.env })).out.trim();
        return (await fetch(url)).status === 404;
    }

    async start() {
        const [port] = await free_ports('127.0.0.1', 1), storage = await free_ports(this.inner, SERVERS.length);
        this.url = `http://127.0.0.1:${port}`;
        fs.mkdirSync(path.join(this.dir, 'srv/disk'), { recursive: true });
        fs.writeFileSync(path.join(this.dir, 'swift.conf'), `[swift-hash]\nswift_hash_path_prefix = ${this.dir}\n`);
        this.write_proxy(port);
        await Promise.all(SERVERS.map((name, i) => this.write_storage(name, storage[i])));
        for (const name of [...SERVERS, 'proxy']) this.spawn(name);
        await until('the S3 server', async () => {
            if (this.children.some(c => c.over)) return true;
            const up = await Promise.all(storage.map(p => listens(this.inner, p)));
            return up.every(Boolean) && this.answers();
        }, START_MS);
        if (this.children.some(c => c.over)) throw new Error(`the S3 server did not start:\n${this.log}`);
    }

    wipe() {
        for (const c of this.children) if (!c.over) c.kill('SIGKILL');
        fs.rmSync(this.dir, { recursive: true, force: true });
    }

    async stop() {
        for (const c of this.children) if (!c.over) c.kill('SIGKILL');
        await Promise.all(this.children.map(c => c.gone));
        this.wipe();
    }
}

// A server that runs: {url, env, dir, log, stop()}.
export async function start_s3() {
    for (let i = 1;; i++) {
        const s3 = new Swift();
        // Should the tests be ended in the middle, it ends, too.
        process.once('exit', () => s3.wipe());
        try {
            await s3.start();
            return s3;
        } catch (e) {
            await s3.stop();
            // Another may have taken the port meanwhile.
            if (i === TRIES || !/Could not bind/.test(s3.log)) throw e;
        }
    }
}
