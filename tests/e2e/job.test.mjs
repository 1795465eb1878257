// The job door from outside: devices at a real mosquitto, images in a real S3 server that checks signatures and expiry.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import net from 'node:net';
import { Bench, otter, sha256, until } from './device.mjs';
import { Authority } from './nginx.mjs';
import { Broker } from './broker.mjs';
import { start_s3 } from './s3.mjs';

const SCENARIO = { '*': { behaviour: 'healthy', confirm_after_ms: 0 }, '1.3.0': { behaviour: 'crash_at_boot' } };
const bench = new Bench();
const authority = await new Authority(bench.dir).make();
const broker = await new Broker(bench, authority).start();
const s3 = await start_s3();
const ears = await broker.listener();
after(async () => {
    ears.stop();
    await Promise.all([broker.stop(), s3.stop(), bench.close()]);
});

const v10 = await bench.image('1.0.0'), v11 = await bench.image('1.1.0'), bad = await bench.image('1.3.0');
const big = await bench.image('1.1.0', { size: 900000 });
const read = file => fs.readFileSync(file);
const facts = file => ({ size: read(file).length, sha256: sha256(read(file)) });

async function aws(args, env = s3.env) {
    const r = await otter(args, { env, ms: 60000 });
    assert.equal(r.code, 0, r.out + r.err);
    return r.out.trim();
}

// Into the bucket by the publisher; its key there.
async function release(file, channel) {
    const out = JSON.parse(await aws(['publish', file, '--channel', channel, 's3://firmware/device', '--create-bucket', '--json']));
    return `s3://firmware/device/${channel}/${out.builds[0].path}`;
}
const keys = { '1.1.0': await release(v11, 'stable'), '1.3.0': await release(bad, 'crash'), big: await release(big, 'big') };
const presign = (key, expires = 600, endpoint = s3.url) =>
    aws(['presign', keys[key], '--expires', String(expires)], { ...s3.env, AWS_ENDPOINT_URL: endpoint });

let count = 0;
async function device({ args = [], id = `d${++count}`, url = broker.url(), ...more } = {}) {
    const d = await bench.device({ image: v10, table: 'two_ota_large', scenario: SCENARIO, args: ['--mqtt', url, '--id', id, ...args],
        ...more });
    d.id = id;
    d.status_topic = `otter/${id}/status`;
    d.from = ears.heard.length;
    d.send = (job, options) => broker.send(`otter/${id}/update`, job, options);
    d.hears = (fits, from = 0, ms) => ears.hears(d.status_topic, fits, from, ms);
    d.asks = (from = 0, ms) => ears.hears(`otter/${id}/request`, m => m.request === 'update_url', from, ms);
    d.states = () => ears.of(d.status_topic).map(m => m.state).filter(s => s !== 'offline').filter((s, i, all) => s !== all[i - 1]);
    d.state = async (state, from, ms) => d.hears(m => m.state === state, from, ms);
    return d;
}
const online = async options => {
    const d = await device(options);
    await d.state('online');
    return d;
};

function no_secret(...devices) {
    for (const m of ears.heard) if (!/\/update$/.test(m.topic)) assert.doesNotMatch(m.text, /X-Amz|Signature/i);
    for (const d of devices) assert.doesNotMatch(d.log, /X-Amz|Signature|-word/i);
}

// Passes connections on to a port, and counts. The n-th is ended after cut bytes, as soon as hold() is over.
class Slow {
    constructor(port) {
        this.plans = [];
        this.passed = [];
        this.server = net.createServer(client => this.pass(client, port)).unref();
    }

    pass(client, port) {
        const n = this.passed.push(0) - 1, { cut = Infinity, hold = async () => {} } = this.plans.shift() ?? {};
        const server = net.connect(port, '127.0.0.1').unref(), end = () => { client.destroy(); server.destroy(); };
        client.unref();
        for (const s of [client, server]) s.on('error', end).on('close', end);
        client.on('data', d => server.write(d));
        server.on('data', d => {
            const piece = d.subarray(0, cut - this.passed[n]);
            this.passed[n] += piece.length;
            client.write(piece);
            if (this.passed[n] < cut) return;
            server.pause();
            hold().then(end);
        });
    }

    async start() {
        await new Promise(done => this.server.listen(0, '127.0.0.1', done));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }

    get bytes() { return this.passed.reduce((a, b) => a + b, 0); }
}

describe('a job', { concurrency: 4 }, () => {
    test('goes all the way, and then one that crashes goes back', async () => {
        const d = await online();
        await d.send({ update_url: await presign('1.1.0'), job_id: 'first', version: '1.1.0', ...facts(v11), other: [1] });
        await d.state('confirmed');
        assert.equal((await d.status()).running.version, '1.1.0');
        assert.deepEqual(d.states(), ['online', 'received', 'downloading', 'verifying', 'restarting', 'confirmed']);
        const last = ears.of(d.status_topic).at(-1);
        assert.deepEqual([last.job_id, last.running, last.version], ['first', '1.1.0', '1.1.0']);
        const from = ears.heard.length;
        await d.send({ update_url: await presign('1.3.0'), job_id: 'second', ...facts(bad) });
        const back = await d.state('rolled_back', from);
        assert.deepEqual([back.job_id, back.running], ['second', '1.1.0']);
        assert.match(back.reason, /unconfirmed/);
        // The same once more is not tried again.
        const then = ears.heard.length;
        await d.send({ update_url: await presign('1.3.0'), job_id: 'second', ...facts(bad) });
        await d.state('rolled_back', then);
        await d.send({ update_url: await presign('1.1.0'), job_id: 'first', ...facts(v11) });
        const repeated = await d.hears(m => m.repeated, then);
        assert.deepEqual([repeated.state, repeated.job_id], ['confirmed', 'first']);
        assert.equal(ears.of(d.status_topic, then).some(m => m.state === 'received'), false);
        no_secret(d);
    });
});
