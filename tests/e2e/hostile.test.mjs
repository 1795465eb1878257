// The hostile set through every door: the same verdict each time, the running firmware untouched, nothing in flash that
// should not be, and a good update afterwards. The tables are in tests/hostile.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, describe, test } from 'node:test';
import { hostile_images, hostile_images_c6, hostile_images_signed } from '../hostile/images.mjs';
import { hostile_file_requests, hostile_requests } from '../hostile/requests.mjs';
import { Bench, otter } from './device.mjs';

const ANY = { '*': { behaviour: 'healthy', confirm_after_ms: 0 } };
const NVS = { offset: 0x9000, size: 0x6000 };

const bench = new Bench();
after(() => bench.close());

const image = await bench.image('1.0.0', { size: 9000 });

// ---- the doors: an image goes in, a name comes out

const doors = {
    'push door, raw': async (d, c) => (await d.upload(bench.file(c.bytes))).headers['otter-result'],
    'push door, form': async (d, c) =>
        (await d.curl('/update', '-F', `firmware=@${bench.file(c.bytes)}`)).headers['otter-result'],
    'otter push': async (d, c) => {
        const r = await otter(['push', bench.file(c.bytes), d.url, '--quiet', '--no-wait']);
        // Whatever an image's strings hold, it does not reach the terminal as control characters.
        assert.doesNotMatch(r.out + r.err, /[\x00-\x09\x0b-\x1f\x7f]/, c.name);
        return r.code === 0 ? 'switched' : /\((\w+)\)\n$/.exec(r.err)?.[1] ?? r.err;
    },
};

// The flash without its settings, and out of it the spare slot.
function kept(d, status) {
    const bytes = d.bytes(), { offset, size } = status.slots.find(s => s.target);
    const spare = Buffer.from(bytes.subarray(offset, offset + size));
    bytes.fill(0, NVS.offset, NVS.offset + NVS.size).fill(0, offset, offset + size);
    return { bytes, spare };
}

// What a refusal has left: all as it was; the spare slot, too, unless it was written to: then nothing in it starts.
async function same_as(d, was, before, may_spoil) {
    const now = await d.status(), after = kept(d, was);
    assert.deepEqual(now.running, was.running, 'another firmware runs');
    assert.equal(now.boot_id, was.boot_id, 'the device has restarted');
    assert.ok(after.bytes.equals(before.bytes), 'the flash has changed');
    const same = after.spare.equals(before.spare);
    assert.ok(same || may_spoil, 'the spare slot has changed');
    assert.ok(same || after.spare[0] !== 0xe9, 'the spare slot looks startable');
}

async function refuses(d, door, c) {
    const was = await d.status(), before = kept(d, was), expected = door === 'otter push' ? c.by_push : c.error;
    const got = await doors[door](d, c);
    assert.equal(got, expected, `${c.name}: ${got} instead of ${expected}`);
    await same_as(d, was, before, c.spoils).catch(e => { throw new Error(`${c.name}: ${e.message}`); });
}

async function accepts(d, door, c) {
    const got = await doors[door](d, c);
    assert.equal(got, 'switched', `${c.name}: ${got} instead of switched`);
    await d.runs(c.version);
}

// Each case is tried, whatever became of those before it; what went wrong is told in one list.
async function through(d, door, cases, good) {
    const wrong = [];
    for (const c of [...cases, { name: 'then a good one', ...good }])
        await (c.accepted ?? true ? accepts : refuses)(d, door, c).catch(e => wrong.push(e.message));
    assert.equal(wrong.join('\n'), '');
}

// ---- what is made before the first test

const last = async chip => ({ version: '9.0.0',
    bytes: fs.readFileSync(await bench.image('9.0.0', { chip, size: 9000 })) });

async function keygen(name) {
    const file = `${bench.dir}/${name}.pem`;
    assert.equal((await otter(['image', 'keygen', '-o', file, '--type', 'ecdsa-p256'])).code, 0);
    return { file, digest: (await otter(['image', 'key-digest', file])).out.trim() };
}

async function signed(file, key) {
    const out = bench.file('');
    assert.equal((await otter(['image', 'sign', file, '--key', key.file, '-o', out])).code, 0);
    return fs.readFileSync(out);
}

const key = await keygen('ours'), stranger = await keygen('theirs'), good = await last('esp32c3');
const suites = {
    'hostile images': [await hostile_images(bench), { image }, good],
    'hostile images, ESP32-C6': [await hostile_images_c6(bench), { chip: 'esp32c6',
        image: await bench.image('1.0.0', { chip: 'esp32c6', size: 9000 }) }, await last('esp32c6')],
    'hostile images, signatures required': [
        await hostile_images_signed(bench, { key: key.file, stranger: stranger.file }),
        { image, args: ['--key-digest', key.digest] },
        { ...good, bytes: await signed(await bench.image('9.0.0', { size: 9000 }), key) },
    ],
};
const requests = hostile_requests(fs.readFileSync(await bench.image('2.0.0', { size: 9000 })));

// ---- images

for (const [what, [cases, options, then]] of Object.entries(suites))
    describe(what, { concurrency: 3 }, () => {
        const names = Object.keys(doors), accepted = cases.filter(c => c.accepted).length;
        console.log(`${what}: ${cases.length}, ${accepted} of them accepted, through ${names.length} doors`);
        for (const door of names)
            test(door, async () => through(await bench.device({ scenario: ANY, ...options }), door, cases, then));
    });

test('the sets are as large as they were', () => {
    const names = Object.values(suites).flatMap(([cases]) => cases.map(c => c.name));
    assert.ok(names.length >= 140, `${names.length} images`);
    assert.equal(new Set(names).size, names.length, 'a name stands twice');
    assert.ok(requests.length >= 35, `${requests.length} requests`);
    assert.ok(hostile_file_requests().length >= 35, 'requests about files');
});

// ---- requests

console.log(`hostile requests: ${requests.length}`);

async function sent(d, r) {
    const raw = d.raw(), reply = await r.send({ d, raw }).catch(e => { throw new Error(`${r.name}: ${e.message}`); });
    raw.close();
    const got = [reply.status, reply.headers['otter-result'] ?? null];
    assert.equal(`${got}`, `${[r.status, r.error]}`, `${r.name}: ${got} instead of ${[r.status, r.error]}`);
}

// Those that open no update go side by side, as many as leave the device a connection; the others one by one.
async function all_sent(d, list, alone) {
    const wrong = [], waiting = [...list];
    const sender = async () => {
        for (let r; (r = waiting.shift());) await sent(d, r).catch(e => wrong.push(e.message));
    };
    await Promise.all(Array.from({ length: alone ? 1 : 16 }, sender));
    assert.equal(wrong.join('\n'), '');
}

describe('hostile requests', { concurrency: 2 }, () => {
    for (const alone of [false, true])
        test(alone ? 'one after the other' : 'side by side', async () => {
            const d = await bench.device({ image, scenario: ANY }), was = await d.status(), before = kept(d, was);
            await all_sent(d, requests.filter(r => r.alone === alone), alone);
            await same_as(d, was, before, alone);
            await accepts(d, 'push door, raw', { name: 'then a good one', ...good });
        });

    test('about files', async () => {
        const d = await bench.device({ image, table: 'two_ota_usr', scenario: ANY }), kept = Buffer.alloc(7000, 'kept');
        const file = bench.file(kept), target = '/api/v1/files/kept';
        assert.equal((await d.curl(target, '-T', file)).status, 200);
        const was = await d.get('/api/v1/files/');
        await all_sent(d, hostile_file_requests(), true);
        assert.deepEqual(await d.get('/api/v1/files/'), was);
        assert.equal((await d.curl(target)).body, kept.toString());
        assert.equal((await d.curl(target, '-T', file)).status, 200);
    });
});
