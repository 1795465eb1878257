// The job door from outside: devices at a real mosquitto, images in a real S3 server that checks signatures and expiry.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import net from 'node:net';
import { Bench, OTTER, otter, run, sha256, until } from './device.mjs';
import { Authority, Nginx, serve } from './nginx.mjs';
import { Broker } from './broker.mjs';
import { start_s3 } from './s3.mjs';

const SCENARIO = { '*': { behaviour: 'healthy', confirm_after_ms: 0 }, '1.3.0': { behaviour: 'crash_at_boot' } };
const bench = new Bench();
const authority = await new Authority(bench.dir).make();
const broker = await new Broker(bench, authority).start();
const s3 = await start_s3();
const front = await new Nginx(bench, { before: s3.url }).start();
const ears = await broker.listener();
after(async () => {
    ears.stop();
    front.stop();
    // The broker writes its state into the bench's folder at last.
    await Promise.all([broker.stop(), s3.stop()]);
    await bench.close();
});

const v10 = await bench.image('1.0.0'), v11 = await bench.image('1.1.0'), bad = await bench.image('1.3.0');
const big = await bench.image('1.1.0', { size: 900000 });
const read = file => fs.readFileSync(file);
const long_text = n => 'x'.repeat(n);
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
    for (const m of ears.heard) if (!/\/update$/.test(m.topic)) assert.doesNotMatch(m.text, /X-Amz-|Signature=/i);
    for (const d of devices) assert.doesNotMatch(d.log, /X-Amz-|Signature=|-word/i);
}

// Passes connections on to a port, and counts. The n-th is ended after cut bytes, as soon as hold() is over, or just gets
// a reply.
class Slow {
    constructor(port) {
        this.plans = [];
        this.passed = [];
        this.server = net.createServer(client => this.pass(client, port)).unref();
    }

    pass(client, port) {
        const n = this.passed.push(0) - 1, { cut = Infinity, hold = async () => {}, reply } = this.plans.shift() ?? {};
        if (reply) return client.unref().end(reply);
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

describe('a job', { concurrency: 8 }, () => {
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

    test('asks for a fresh URL where it has expired before the start', async () => {
        const d = await online(), url = await presign('1.1.0', 1);
        await sleep(2100);
        await d.send({ update_url: url, job_id: 'late', ...facts(v11) });
        const told = await d.state('url_expired');
        assert.deepEqual([told.error, told.job_id], ['url_expired', 'late']);
        const asked = await d.asks();
        assert.deepEqual([asked.job_id, asked.device, asked.bytes, asked.sha256], ['late', d.id, 0, sha256(read(v11))]);
        assert.equal(asked.url, url.split('?')[0]);
        await d.send({ update_url: await presign('1.1.0'), job_id: 'late' });
        await d.state('confirmed');
        no_secret(d);
    });

    for (let cut = 64 * 1024; cut < 900000; cut += 64 * 1024)
        test(`goes on at the byte where a URL expired after ${cut} bytes`, async () => {
            const slow = await new Slow(new URL(s3.url).port).start(), d = await online();
            const url = await presign('big', 2, slow.url), dead = Date.now() + 3100;
            slow.plans.push({ cut, hold: () => sleep(dead - Date.now()) });
            await d.send({ update_url: url, job_id: 'midway', ...facts(big) });
            await d.state('url_expired');
            const asked = await d.asks();
            assert.ok(asked.bytes >= cut - 64 * 1024 && asked.bytes <= cut, JSON.stringify(asked));
            await d.send({ update_url: await presign('big', 600, slow.url), job_id: 'midway', ...facts(big) });
            await d.state('confirmed');
            assert.equal((await d.status()).running.version, '1.1.0');
            assert.ok(slow.bytes <= read(big).length + 128 * 1024, `${slow.bytes} bytes`);
            no_secret(d);
        });

    for (let cut = 64 * 1024; cut < 900000; cut += 64 * 1024)
        test(`goes on where the connection broke after ${cut} bytes`, async () => {
            const slow = await new Slow(new URL(s3.url).port).start(), d = await online();
            slow.plans.push({ cut, hold: () => sleep(500) });
            await d.send({ update_url: await presign('big', 600, slow.url), job_id: 'broken', ...facts(big) });
            await d.state('confirmed');
            assert.equal((await d.status()).running.version, '1.1.0');
            assert.ok(slow.passed.length > 1 && slow.bytes <= read(big).length + 128 * 1024, `${slow.bytes} bytes`);
            assert.equal(d.states().filter(s => s === 'received').length, 1);
        });

    test('with a URL of 4,096 characters is fetched', async () => {
        const s = await serve((q, r) => r.end(q.url.length > 4000 ? read(v11) : '')), d = await online();
        await d.send({ update_url: (s.url + '/v11.bin?X-Amz-Signature=').padEnd(4096, 'a'), job_id: 'long', ...facts(v11) });
        await d.state('confirmed');
        no_secret(d);
        s.close();
    });

    test('without an id is known again by where its file lies', async () => {
        const d = await online(), url = await presign('1.1.0', 1);
        await sleep(2100);
        await d.send({ update_url: url });
        await d.asks();
        await d.send({ update_url: await presign('1.1.0') });
        await d.state('confirmed');
    });

    test('that waits for a URL gives way to another', async () => {
        const d = await online(), url = await presign('1.3.0', 1);
        await sleep(2100);
        await d.send({ update_url: url, job_id: 'waits' });
        await d.asks();
        await d.send({ update_url: await presign('1.1.0'), job_id: 'other' });
        const gone = await d.state('failed');
        assert.deepEqual([gone.job_id, gone.error], ['waits', 'cancelled']);
        assert.equal((await d.state('confirmed')).job_id, 'other');
    });

    test('is one at a time, and comes twice without harm', async () => {
        const slow = await new Slow(new URL(s3.url).port).start(), d = await online();
        let release;
        const held = new Promise(done => { release = done; });
        slow.plans.push({ cut: 300000, hold: () => held });
        const job = { update_url: await presign('big', 600, slow.url), job_id: 'a', ...facts(big) };
        await d.send(job);
        await d.hears(m => m.state === 'downloading' && m.percent > 0);
        await d.send(job);
        await d.send({ update_url: await presign('1.1.0'), job_id: 'b' });
        const busy = await d.hears(m => m.error === 'busy');
        assert.deepEqual([busy.state, busy.job_id], ['failed', 'b']);
        release();
        await d.state('confirmed');
        assert.deepEqual(ears.of(d.status_topic).filter(m => m.state === 'received').map(m => m.job_id), ['a']);
        assert.ok(slow.bytes <= read(big).length + 128 * 1024, `${slow.bytes} bytes`);
        // What the topic keeps is the last job, not what was refused.
        const late = await broker.listener(d.status_topic);
        const kept = await late.hears(d.status_topic, m => m.retained);
        late.stop();
        assert.deepEqual([kept.state, kept.job_id], ['confirmed', 'a']);
    });

    test('does not meddle with an update through another door', async () => {
        const d = await online(), from = ears.heard.length;
        const pushed = d.upload(big, '--limit-rate', '200k');
        await d.seen('an upload on its way', s => s.update.state === 'receiving' && s.update.received > 0);
        await d.send({ update_url: await presign('1.1.0'), job_id: 'second', ...facts(v11) });
        assert.equal((await d.state('failed', from)).error, 'busy');
        assert.equal((await pushed).status, 200);
        await d.runs('1.1.0');
        // Nothing of it was remembered: the same job is taken when it can be.
        await d.send({ update_url: await presign('1.1.0'), job_id: 'second', ...facts(v11) });
        await d.state('confirmed', from);
    });

    test('that is retained is done once, and an older one that comes late never', async () => {
        const d = await online(), old = { update_url: await presign('1.1.0'), job_id: 'old', ...facts(v11) };
        const v12 = await bench.image('1.2.0');
        keys['1.2.0'] ??= await release(v12, 'next');
        await d.send(old, { retain: true });
        await d.state('confirmed');
        const from = ears.heard.length;
        await d.send({ update_url: await presign('1.2.0'), job_id: 'new', ...facts(v12) });
        await d.hears(m => m.state === 'confirmed' && m.job_id === 'new', from);
        // It was handed out again at each connection.
        await d.hears(m => m.repeated && m.job_id === 'old', from);
        await d.stop();
        const then = ears.heard.length;
        await d.start();
        await d.hears(m => m.repeated && m.job_id === 'old', then);
        assert.equal((await d.status()).running.version, '1.2.0');
        await d.send('', { retain: true });
        // The same file under another id: it is not what runs.
        await d.send({ ...old, job_id: 'back', update_url: await presign('1.1.0') });
        await d.hears(m => m.state === 'confirmed' && m.job_id === 'back', then);
        assert.equal((await d.status()).running.version, '1.1.0');
        await d.send({ ...old, job_id: 'again' });
        assert.equal((await d.hears(m => m.job_id === 'again', then)).already_current, true);
    });

    test('waits at the broker for a device that is off, which is told', async () => {
        const d = await online(), from = ears.heard.length;
        await d.stop('SIGKILL');
        assert.equal((await d.state('offline', from)).device, d.id);
        await d.send({ update_url: await presign('1.1.0'), job_id: 'waits', ...facts(v11) });
        await d.start();
        assert.equal((await d.state('confirmed', from)).job_id, 'waits');
    });

    test('waits while firmware is on trial', async () => {
        const scenario = { '*': SCENARIO['*'], '1.1.0': { behaviour: 'healthy', confirm_after_ms: 3000 } };
        const d = await online({ scenario });
        const v12 = await bench.image('1.2.0');
        keys['1.2.0'] ??= await release(v12, 'next');
        await d.send({ update_url: await presign('1.1.0'), job_id: 'one', ...facts(v11) });
        await d.hears(m => m.state === 'restarting' && m.running === '1.1.0');
        await d.send({ update_url: await presign('1.2.0'), job_id: 'two', ...facts(v12) });
        await d.hears(m => m.state === 'confirmed' && m.job_id === 'one');
        await d.hears(m => m.state === 'confirmed' && m.job_id === 'two');
        assert.equal((await d.status()).running.version, '1.2.0');
    });

    for (const [what, behaviour] of [['is confirmed', 'healthy'], ['goes back', 'crash_at_boot']])
        test(`that comes as a restart is due is not lost: the firmware ${what}`, async () => {
            const scenario = { '*': SCENARIO['*'], '1.1.0': { behaviour, confirm_after_ms: 2000 } };
            const d = await online({ scenario }), v12 = await bench.image('1.2.0');
            keys['1.2.0'] ??= await release(v12, 'next');
            const two = { update_url: await presign('1.2.0'), job_id: 'two', ...facts(v12) };
            const three = { update_url: await presign('big'), job_id: 'three', ...facts(big) };
            await d.send({ update_url: await presign('1.1.0'), job_id: 'one', ...facts(v11) });
            await d.state('restarting');
            await d.send(two);
            await d.send(two);
            await d.send(three);
            assert.equal((await d.hears(m => m.job_id === 'three')).error, 'busy');
            await d.hears(m => m.job_id === 'one' && m.state === (behaviour === 'healthy' ? 'confirmed' : 'rolled_back'));
            await d.hears(m => m.job_id === 'two' && m.state === 'confirmed');
            assert.equal((await d.status()).running.version, '1.2.0');
            assert.equal(ears.of(d.status_topic).filter(m => m.job_id === 'two' && m.state === 'received').length, 1);
            no_secret(d);
        });

    test('whose server does not answer says so, and gives way to another', async () => {
        const d = await online();
        await d.send({ update_url: 'http://127.0.0.1:1/x.bin?X-Amz-Signature=1', job_id: 'nowhere' });
        const told = await d.hears(m => m.job_id === 'nowhere' && m.error === 'server_unreachable');
        assert.equal(told.state, 'received');
        await d.send({ update_url: await presign('1.1.0'), job_id: 'other', ...facts(v11) });
        await d.hears(m => m.job_id === 'nowhere' && m.state === 'failed' && m.error === 'cancelled');
        await d.hears(m => m.job_id === 'other' && m.state === 'confirmed');
        no_secret(d);
    });

    // Power goes at flash operations all over the update, and at its first ones, where the job is written down.
    const TEARS = ['before', 'after', 'prefix:100', 'random-bits:7', 'all-but-one:3', 'half-erase:1'], OPERATIONS = 3500;
    let seed = 20260202, lost = 0, ran = 0;
    const random = n => (seed = (seed * 1103515245 + 12345) % 0x80000000) % n;
    const cuts = Array.from({ length: 50 }, (_, i) => [i < 8 ? 1 + i * 4 : 20 + random(OPERATIONS - 20), TEARS[i % TEARS.length]]);
    for (const [i, [at, tear]] of cuts.entries())
        test(`goes on after power was cut at flash operation ${at}, ${tear}`, async () => {
            const d = await device({ args: ['--power-cut', `${at}:${tear}`] });
            await d.state('online');
            // By its expiry a URL is told from those of the other cuts.
            const url = await presign('big', 1000 + i, front.url('http'));
            const job = { update_url: url, job_id: 'cut', ...facts(big) };
            const from = ears.heard.length;
            await d.send(job);
            const end = await d.hears(m => m.state === 'offline' || m.state === 'confirmed', from);
            // Cut before it had been written down, it is sent again, as who has heard nothing of it would do.
            const back = end.state === 'offline' && await d.hears(m => m.state !== 'offline' && m.state !== 'received' || m.job_id === 'cut', ears.heard.indexOf(end));
            if (back?.state === 'online') await d.send(job);
            await d.state('confirmed', from);
            const times = (d.log.match(/power is lost/g) || []).length;
            lost += times;
            ran++;
            assert.equal((await d.status()).running.version, '1.1.0');
            const sent = await until('the log', () => {
                const replies = front.sent(url.slice(front.url('http').length));
                return replies.length > 0 && replies.reduce((sum, r) => sum + r.bytes, 0);
            });
            assert.ok(sent <= read(big).length + times * 128 * 1024, `${sent} bytes, power lost ${times} times`);
            no_secret(d);
            await d.stop();
        });
    after(() => assert.ok(lost >= ran * 0.9, `power went ${lost} times in ${ran} updates`));

    test('reaches a device whose slots overlap', async () => {
        const table = bench.dir + '/elastic.bin';
        await otter(['table', 'plan', '--flash', '4MB', '--app', '200K', '-o', table]);
        const d = await online({ table });
        await d.send({ update_url: await presign('1.1.0'), job_id: 'fits' });
        await d.state('confirmed');
        assert.equal((await d.status()).running.version, '1.1.0');
    });

    test('survives the loss of its broker', async () => {
        const own = await new Broker(bench, authority).start(), slow = await new Slow(new URL(s3.url).port).start();
        let release;
        const held = new Promise(done => { release = done; });
        slow.plans.push({ cut: 500000, hold: () => held });
        const id = 'lonely', topic = `otter/${id}/status`;
        let there = await own.listener();
        const d = await bench.device({ image: v10, table: 'two_ota_large', scenario: SCENARIO,
            args: ['--mqtt', own.url(), '--id', id] });
        await there.hears(topic, m => m.state === 'online');
        await own.send(`otter/${id}/update`, { update_url: await presign('big', 600, slow.url), job_id: 'x', ...facts(big) });
        await there.hears(topic, m => m.state === 'downloading');
        there.stop();
        await own.stop();
        await d.said(/connection to .* is lost/);
        release();
        await own.start();
        there = await own.listener();
        assert.equal((await there.hears(topic, m => m.state === 'confirmed')).job_id, 'x');
        assert.equal((await d.status()).running.version, '1.1.0');
        there.stop();
        await own.stop();
    });
});

describe('what is no good job', { concurrency: 4 }, () => {
    const URL_ = 'https://127.0.0.1:1/x.bin', long = n => 'x'.repeat(n);
    const payloads = {
        'single quotes': [`{'update_url': '${URL_}'}`, 'bad_job', /double quotes/],
        'an array': ['[1]', 'bad_job', /no object/],
        'a string': [`"${URL_}"`, 'bad_job', /no object/],
        'a bare URL': [URL_, 'bad_job', /no JSON/],
        'half of it': [`{"update_url": "https://`, 'bad_job', /no JSON/],
        'two of it': [`{"update_url": "${URL_}"}{}`, 'bad_job', /no JSON/],
        'no URL': ['{}', 'bad_job', /no \"update_url\"|no "update_url"/],
        'null': ['{"update_url": null}', 'bad_job', /no "update_url"/],
        'a number': ['{"update_url": 7}', 'bad_job', /no string/],
        'an empty URL': ['{"update_url": ""}', 'bad_url', /http/],
        'another scheme': ['{"update_url": "ftp://h/x"}', 'bad_url', /http/],
        'a file': ['{"update_url": "file:///etc/passwd"}', 'bad_url', /http/],
        'a user in it': ['{"update_url": "https://a:b@h/x"}', 'bad_url', /http/],
        'a blank in it': ['{"update_url": "https://h/x y"}', 'bad_url', /http/],
        'a line break in it': ['{"update_url": "https://h/x\\r\\nA: b"}', 'bad_url', /http/],
        'one that is too long': [JSON.stringify({ update_url: URL_ + long(4096) }), 'bad_url', /4,096/],
        'http to others': ['{"update_url": "http://192.0.2.1/x.bin"}', 'insecure_url', /https/],
        'a wrong hash': [`{"update_url": "${URL_}", "sha256": "abc"}`, 'bad_job', /64 hex/],
        'a wrong size': [`{"update_url": "${URL_}", "size": -1}`, 'bad_job', /size/],
        'a broken size': [`{"update_url": "${URL_}", "size": 1.5}`, 'bad_job', /size/],
        'a size beyond all': [`{"update_url": "${URL_}", "size": 1e300}`, 'bad_job', /size/],
        'a long version': [JSON.stringify({ update_url: URL_, version: long(32) }), 'bad_job', /version/],
        'a long id': [JSON.stringify({ update_url: URL_, job_id: long(65) }), 'bad_job', /job_id/],
        'an id that is none': [`{"update_url": "${URL_}", "job_id": {}}`, 'bad_job', /job_id/],
        'an id with an escape': [`{"update_url": "${URL_}", "job_id": "a\\u001bb"}`, 'bad_job', /job_id/],
        'bytes that are no text': [Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x3a, 0x31, 0x7d]), 'bad_job', /update_url|JSON/],
        'zeros': [Buffer.alloc(64), 'bad_job', /no JSON/],
        'a deep tree': ['{"a":'.repeat(40) + '1' + '}'.repeat(40), 'bad_job', /too large a tree/],
        'a wide tree': [`{"a":[${Array(3000).fill(0)}]}`, 'bad_job', /too large a tree/],
        'more than fits': [JSON.stringify({ update_url: URL_, a: long(9000) }), 'bad_job', /8192/],
        'much more than fits': [long(1 << 20), 'bad_job', /8192/],
    };

    test('is answered with what is wrong, and the next good job works', async () => {
        const d = await online(), before = d.bytes();
        for (const [what, [payload, error, words]] of Object.entries(payloads)) {
            const from = ears.heard.length;
            await d.send(payload);
            const m = await d.state('failed', from);
            assert.equal(m.error, error, what + ': ' + m.text);
            assert.match(m.message, words, what);
        }
        await d.send('');
        assert.ok(before.equals(d.bytes()), 'flash was touched');
        const url = await presign('1.1.0'), job = { update_url: `${url}&pad=${long(4096 - url.length - 5)}`, job_id: 'long' };
        assert.equal(job.update_url.length, 4096);
        await d.send(job);
        // Padding is part of what is signed: the server says no, but the device has asked.
        await d.state('url_expired');
        await d.send({ update_url: url, job_id: 'long' });
        await d.state('confirmed');
        no_secret(d);
    });

    const lies = {
        'another size': [{ ...facts(v11), size: 100 }, 'wrong_size'],
        'another hash': [{ ...facts(v11), sha256: '00'.repeat(32) }, 'wrong_digest'],
        'another version': [{ ...facts(v11), version: '9.9.9' }, 'wrong_version'],
    };
    test('as the file is not what it says, leaves the running firmware', async () => {
        const d = await online();
        for (const [what, [job, error]] of Object.entries(lies)) {
            const from = ears.heard.length;
            await d.send({ update_url: await presign('1.1.0'), job_id: what, ...job });
            const m = await d.hears(x => x.state === 'failed' || x.state === 'restarting', from);
            assert.equal(m.state, 'failed', what);
            assert.equal(m.error, error, what);
            // It will not fare better.
            const then = ears.heard.length;
            await d.send({ update_url: await presign('1.1.0'), job_id: what, ...job });
            await d.state('failed', then);
            assert.equal(ears.of(d.status_topic, then).some(x => x.state === 'received'), false);
        }
        assert.equal((await d.status()).running.version, '1.0.0');
        await d.send({ update_url: await presign('1.1.0'), job_id: 'good', ...facts(v11) });
        await d.state('confirmed');
    });

    test('to a device that has it is acknowledged', async () => {
        const d = await online({ image: v11 });
        await d.send({ update_url: await presign('1.1.0'), job_id: 'same', ...facts(v11) });
        const m = await d.state('confirmed');
        assert.deepEqual([m.already_current, m.job_id], [true, 'same']);
    });
});

describe('a broker', { concurrency: 4 }, () => {
    const certificate = name => ['--ca', authority.ca, '--mqtt-cert', authority.file(`${name}.pem`), '--mqtt-key',
        authority.file(`${name}.key`)];

    test('is spoken to with TLS and a client certificate', async () => {
        await authority.leaf('tls1', 'DNS:tls1', ['-days', '30']);
        const d = await online({ id: 'tls1', url: broker.url('tls'), args: certificate('tls1') });
        await d.send({ update_url: await presign('1.1.0'), job_id: 'secret', ...facts(v11) });
        await d.state('confirmed');
    });

    test('that asks for a password gets it, also from the environment', async () => {
        const d = await online({ id: 'device', url: broker.url('words'), env: { OTTER_MQTT_USER: 'device:device-word' } });
        await d.send({ update_url: await presign('1.1.0'), job_id: 'word', ...facts(v11) });
        await d.state('confirmed');
        no_secret(d);
    });

    test('lets a device use its own topics only', async () => {
        const d = await device({ id: 'else', url: broker.url('words'), args: ['--mqtt-user', 'device:device-word'] });
        await d.said(/connected to/);
        await d.send({ update_url: await presign('1.1.0'), job_id: 'foreign' });
        const other = await online();
        await other.send({ update_url: await presign('1.1.0'), job_id: 'own' });
        await other.state('confirmed');
        assert.deepEqual(ears.of(d.status_topic), []);
        assert.equal((await d.status()).running.version, '1.0.0');
    });

    test('that the device cannot trust gets nothing from it', async () => {
        const foreign = await new Authority(fs.mkdtempSync(bench.dir + '/foreign-')).make();
        const wrong = [
            [{ url: broker.url('tls'), args: ['--ca', foreign.ca] }, /certificate does not verify/],
            [{ url: broker.url('other'), args: ['--ca', authority.ca] }, /certificate does not verify/],
            [{ url: broker.url('words'), args: ['--mqtt-user', 'device:wrong'] }, /does not let us in/],
            [{ url: broker.url('words') }, /does not let us in/],
            [{ url: 'mqtt://127.0.0.1:1' }, /refused/],
        ];
        for (const [options, says] of wrong) {
            const d = await device(options);
            await d.said(says);
            assert.equal((await d.status()).running.version, '1.0.0');
            assert.deepEqual(ears.of(d.status_topic), []);
            await d.stop();
        }
    });

    test('is named in a way that can be', async () => {
        const said = async (words, ...args) => {
            const r = await otter(['device', 'run', '--flash', bench.dir + '/none', ...args]);
            assert.equal(r.code, 2, r.err);
            assert.match(r.err, words);
        };
        for (const url of ['http://h', 'mqtt://', 'mqtt://u:p@h', 'mqtt://h:0', 'mqtt://h:70000', 'mqtt://h:1x', 'mqtt://h/x'])
            await said(/no mqtt:\/\//, '--mqtt', url);
        for (const topic of ['otter/update', 'a/{id}/#', 'a/+/{id}', '{id}' + long_text(200)])
            await said(/--topic/, '--mqtt', 'mqtt://h', '--topic', topic);
        await said(/--topic/, '--mqtt', 'mqtt://h', '--id', 'a/b');
        await said(/belong together/, '--mqtt', 'mqtts://h', '--mqtt-cert', 'x');
        await said(/needs mqtts/, '--mqtt', 'mqtt://h', '--mqtt-cert', 'x', '--mqtt-key', 'y');
        await said(/--mqtt URL/, '--topic', 'x/{id}');
    });

    test('may have other topics', async () => {
        const mine = await broker.listener('fleet/#');
        await bench.device({ image: v10, scenario: SCENARIO, args: ['--mqtt', broker.url(), '--id', 'odd', '--topic', 'fleet/{id}/ota'] });
        await mine.hears('fleet/odd/ota/status', m => m.state === 'online');
        await broker.send('fleet/odd/ota', { update_url: await presign('1.1.0') });
        await mine.hears('fleet/odd/ota/status', m => m.state === 'confirmed');
        mine.stop();
    });
});

describe('otter job send', { concurrency: 3 }, () => {
    const send = (args, env = s3.env) => otter(['job', 'send', '--mqtt', broker.url(), ...args], { env, ms: 60000 });
    const BUCKET = ['--bucket', 's3://firmware/sent', '--create-bucket'];

    test('brings an image to a device, and says so', async () => {
        const d = await online();
        const r = await send([v11, ...BUCKET, '--device', d.id]);
        assert.equal(r.code, 0, r.err);
        assert.match(r.out, /1 of 1 devices run 1\.1\.0/);
        const states = r.err.split('\n').filter(l => l.startsWith(d.id + ': ')).map(l => l.split(' ')[1]);
        assert.deepEqual(states.filter((x, i) => x !== states[i - 1]),
            ['received', 'downloading', 'verifying', 'restarting', 'confirmed']);
        assert.equal((await d.status()).running.version, '1.1.0');
        assert.doesNotMatch(r.out + r.err, /X-Amz-/);
        no_secret(d);
    });

    test('takes what is in the bucket to several, and tells in JSON', async () => {
        const a = await online(), b = await online();
        const r = await send([keys['1.1.0'], '--device', a.id, '--device', b.id, '--json', '--job-id', 'both']);
        assert.equal(r.code, 0, r.err);
        assert.equal(r.err, '');
        const out = JSON.parse(r.out);
        assert.deepEqual([out.job_id, out.version, out.sha256], ['both', '1.1.0', sha256(read(v11))]);
        assert.deepEqual(out.devices.map(x => [x.device, x.state, x.running]),
            [[a.id, 'confirmed', '1.1.0'], [b.id, 'confirmed', '1.1.0']]);
    });

    test('says that a device went back', async () => {
        const d = await online();
        const r = await send([bad, ...BUCKET, '--device', d.id, '--quiet']);
        assert.equal(r.code, 5, r.err);
        assert.match(r.err, /rolled_back.*unconfirmed/);
        assert.match(r.out, /0 of 1/);
        assert.equal((await d.status()).running.version, '1.0.0');
    });

    test('says what a device refuses', async () => {
        const d = await online(), other = await bench.image('1.1.0', { project: 'another' });
        const r = await send([other, ...BUCKET, '--device', d.id, '--json']);
        assert.equal(r.code, 4, r.err);
        const one = JSON.parse(r.out).devices[0];
        assert.deepEqual([one.state, one.error], ['failed', 'wrong_project']);
    });

    test('does not take for its own what the same id has left', async () => {
        const d = await online(), args = ['--device', d.id, '--json', '--job-id', 'same'];
        const first = await send([await bench.image('1.1.0', { project: 'third' }), ...BUCKET, ...args]);
        assert.equal(first.code, 4, first.err);
        // It will not fare better, and says so anew.
        const second = await send([keys['1.1.0'], ...args]);
        assert.equal(second.code, 4, second.err);
        const third = await send([keys['1.1.0'], '--device', d.id, '--json', '--job-id', 'other']);
        assert.equal(third.code, 0, third.err);
    });

    test('gives fresh URLs to who asks', async () => {
        const slow = await new Slow(new URL(s3.url).port).start(), d = await online();
        const dead = Date.now() + 6000;
        slow.plans.push({}, {}, { cut: 300000, hold: () => sleep(dead - Date.now()) });
        const r = await send([big, ...BUCKET, '--device', d.id, '--expires', '2', '--json'], { ...s3.env, AWS_ENDPOINT_URL: slow.url });
        assert.equal(r.code, 0, r.err);
        const one = JSON.parse(r.out).devices[0];
        assert.deepEqual([one.state, one.running], ['confirmed', '1.1.0']);
        assert.ok(one.fresh_urls >= 1, r.out);
        assert.ok(d.states().includes('url_expired'));
    });

    test('waits for who is off, to the end of its time', async () => {
        const d = await online();
        await d.stop('SIGKILL');
        const r = await send([v11, ...BUCKET, '--device', d.id, '--timeout', '2']);
        assert.equal(r.code, 5, r.err);
        assert.match(r.err, /has not answered; .* when it is back, if it has been connected before and may use its topics/);
        // It is told when it is back.
        await d.start();
        await d.state('confirmed');
    });

    test('finds all devices of a topic', async () => {
        const fleet = ['--topic', 'all/{id}/update'], ids = ['x1', 'x2', 'x3'], heard = await broker.listener('all/#');
        for (const id of ids)
            await bench.device({ image: v10, scenario: SCENARIO, args: ['--mqtt', broker.url(), '--id', id, ...fleet] });
        for (const id of ids) await heard.hears(`all/${id}/status`, m => m.state === 'online');
        heard.stop();
        const r = await send([v11, ...BUCKET, '--all', ...fleet]);
        assert.equal(r.code, 0, r.err);
        assert.match(r.out, /3 of 3/);
    });

    test('needs a broker, a bucket, an image and devices', async () => {
        const fails = async (code, words, args, env) => {
            const r = await send(args, env);
            assert.equal(r.code, code, r.out + r.err);
            assert.match(r.err, words);
            return r.out;
        };
        await fails(2, /--bucket/, [v11, '--device', 'a']);
        await fails(2, /--bucket/, [keys.big, ...BUCKET, '--device', 'a']);
        await fails(2, /--device ID, or --all/, [v11, ...BUCKET]);
        await fails(2, /--device ID, or --all/, [v11, ...BUCKET, '--all', '--device', 'a']);
        await fails(2, /not s3:\/\//, [v11, '--bucket', '/tmp', '--device', 'a']);
        await fails(2, /do not go together/, [v11, ...BUCKET, '--device', 'a/b']);
        await fails(2, /--expires/, [v11, ...BUCKET, '--device', 'a', '--expires', '0']);
        await fails(2, /one IMAGE/, [...BUCKET, '--device', 'a']);
        await fails(2, /mqtt:\/\//, [v11, ...BUCKET, '--device', 'a', '--mqtt', 'http://h']);
        await fails(3, /./, [bench.file('no image'), ...BUCKET, '--device', 'a']);
        await fails(6, /./, ['s3://firmware/no-such-file.bin', '--device', 'a']);
        const out = await fails(6, /broker_unreachable/, [v11, ...BUCKET, '--device', 'a', '--mqtt', broker.url('words'), '--mqtt-user', 'device:no', '--json']);
        assert.deepEqual([JSON.parse(out).result, JSON.parse(out).error], ['failed', 'broker_unreachable']);
        await fails(6, /no device/, [v11, ...BUCKET, '--all', '--topic', 'nobody/{id}']);
        const help = await otter(['job', 'send', '--help']);
        assert.equal(help.code, 0);
        for (const option of ['--device', '--bucket', '--mqtt-user', '--timeout', '--json']) assert.match(help.out, new RegExp(option));
    });

    test('finds a fleet of any size, and hears all that it says at once', async () => {
        const ids = Array.from({ length: 1500 }, (_, i) => `f${i}`);
        const fleet = await broker.fleet('many', ids, job => ({ state: 'confirmed', job_id: job.job_id, running: '1.1.0' }));
        const r = await send([v11, ...BUCKET, '--all', '--topic', 'many/{id}/update', '--quiet', '--timeout', '20']);
        fleet.stop();
        assert.deepEqual([r.code, r.err], [0, '']);
        assert.match(r.out, /1500 of 1500/);
    });

    test('sends no second copy to a device that is there', async () => {
        const slow = await new Slow(new URL(s3.url).port).start(), d = await online(), from = ears.heard.length;
        slow.plans.push({}, { reply: 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n' });
        const r = await send([keys['1.1.0'], '--device', d.id], { ...s3.env, AWS_ENDPOINT_URL: slow.url });
        assert.equal(r.code, 6, r.err);
        assert.match(r.err, /failed: .*server_refused/);
        await sleep(500);
        assert.equal(ears.of(`otter/${d.id}/update`, from).length, 1);
        assert.equal(d.states().at(-1), 'failed');
    });

    test('sends again to devices that come back without having heard of the job', async () => {
        const seen = {}, back = { a: 'online', b: 'confirmed', c: 'rolled_back', d: 'failed' };
        const fleet = await broker.fleet('back', Object.keys(back), (job, id) => {
            seen[id] = (seen[id] ?? 0) + 1;
            return seen[id] > 1 ? { state: 'confirmed', job_id: job.job_id, running: '1.1.0' } : { state: back[id], job_id: 'other' };
        });
        const r = await send([v11, ...BUCKET, '--all', '--topic', 'back/{id}/update', '--timeout', '20']);
        fleet.stop();
        assert.equal(r.code, 0, r.err);
        assert.deepEqual(seen, { a: 2, b: 2, c: 2, d: 2 });
    });

    test('passes over what is no status of a device', async () => {
        const bad = { 'a': '{"device":"a/b","state":"online"}', 'b': '{"device":"\\u001b[2Jx","state":"online"}',
            'c': '{"device":"good","state":"online"}', 'd': '[', 'e': '{"device":"e"}' };
        for (const [id, text] of Object.entries(bad)) await broker.send(`odd/${id}/status`, text, { retain: true });
        const fleet = await broker.fleet('odd', ['good', 'größe'], job => ({ state: 'confirmed', job_id: job.job_id, running: '1.1.0' }));
        const r = await send([v11, ...BUCKET, '--all', '--topic', 'odd/{id}/update']);
        fleet.stop();
        assert.equal(r.code, 0, r.err);
        assert.match(r.out, /2 of 2/);
        for (const id of 'abcde') assert.match(r.err, new RegExp(`odd/${id}/status is passed over`));
        assert.match(r.err, /^[ -~\n]*$/);
    });

    test('does not take a job that was done long ago for what runs', async () => {
        const d = await online(), v12 = await bench.image('1.2.0');
        const job = (file, id) => send([file, ...BUCKET, '--device', d.id, '--json', '--job-id', id]);
        assert.equal((await job(v11, 'a')).code, 0);
        assert.equal((await job(v12, 'b')).code, 0);
        const r = await job(v11, 'a'), [one] = JSON.parse(r.out).devices;
        assert.equal(r.code, 4, r.out);
        assert.match(r.err, /did this job before, and runs 1\.2\.0 now; under another --job-id/);
        assert.deepEqual([one.state, one.running], ['confirmed', '1.2.0']);
        assert.match(one.message, /did this job before/);
        assert.equal((await job(v12, 'b')).code, 0);
    });

    test('takes as a job id what devices take', async () => {
        const try_id = (id, shell = '"$@"') => run('sh', ['-c', shell, 'sh', OTTER, 'job', 'send', v11, ...BUCKET, '--device', 'a', '--mqtt',
            'http://h', '--job-id', ...id]);
        for (const [bad, shell] of [[['']], [['a\nb']], [['a\x7f']], [[long_text(65)]], [[], `"$@" "$(printf 'a\\377')"`]]) {
            const r = await try_id(bad, shell);
            assert.equal(r.code, 2);
            assert.match(r.err, /--job-id takes 1 to 64 bytes of UTF-8 without control characters/);
        }
        assert.match((await try_id(['größe 1'])).err, /--mqtt takes/);
    });

    test('tells in JSON what it failed for, too', async () => {
        const fails = async (args, result) => {
            const r = await send([...args, '--json']), out = JSON.parse(r.out);
            assert.equal(r.code, 6, r.out);
            assert.deepEqual([out.result, out.error, typeof out.message], ['failed', result, 'string']);
        };
        await fails(['s3://firmware/no-such-file.bin', '--device', 'a'], 'not_found');
        await fails([v11, ...BUCKET, '--all', '--topic', 'nobody/{id}'], 'not_found');
    });

    test('waits for a device that is busy', async () => {
        const d = await online(), v12 = await bench.image('1.2.0');
        const pushed = d.upload(big, '--limit-rate', '300k');
        await d.seen('an upload on its way', s => s.update.state === 'receiving' && s.update.received > 0);
        const late = await send([v12, ...BUCKET, '--device', d.id, '--timeout', '1']);
        assert.equal(late.code, 5, late.err);
        assert.match(late.err, /busy: Another update is under way[^]*not through in time; it stood at busy: Another update/);
        const r = await send([v12, ...BUCKET, '--device', d.id]);
        assert.equal((await pushed).status, 200);
        assert.equal(r.code, 0, r.err);
        assert.match(r.err, /busy: Another update is under way/);
        assert.match(r.out, /1 of 1 devices run 1\.2\.0/);
    });

    test('outlives its broker', async () => {
        const own = await new Broker(bench, authority).start();
        let asked;
        const first = new Promise(done => { asked = done; });
        const before = await own.fleet('gone', ['x'], job => { asked(); return { state: 'failed', error: 'busy', job_id: job.job_id }; });
        const sent = send([v11, ...BUCKET, '--mqtt', own.url(), '--device', 'x', '--topic', 'gone/{id}/update']);
        await first;
        await sleep(300);
        before.stop();
        await own.stop();
        await sleep(3200);
        await own.start();
        const after = await own.fleet('gone', ['x'], job => ({ state: 'confirmed', job_id: job.job_id, running: '1.1.0' }));
        const r = await sent;
        after.stop();
        await own.stop();
        assert.equal(r.code, 0, r.err);
    });
});
