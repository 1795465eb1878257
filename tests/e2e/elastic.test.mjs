// A device whose slots overlap, from outside: how app, update and data divide the flash at every step of an update, what
// is refused by its size, and that `otter flash info` foretells what the device says at its next start.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { Bench, head, otter, sha256 } from './device.mjs';

const UPLOAD = '/api/v1/firmware/upload', CONFIRM = '/api/v1/firmware/confirm', ROLLBACK = '/api/v1/firmware/rollback';
const KIB = 1024, BLOCK = 64 * KIB, APP = 300 * KIB;
const NOBODY = { '*': { behaviour: 'never_confirms' } }, HEALTHY = { '*': { behaviour: 'healthy', confirm_after_ms: 0 } };

const bench = new Bench();
after(() => bench.close());

// The pool, 63 blocks; an app of 300 KiB takes 5 of them: at the bottom, or at the top, from where it reaches the end.
const TABLE = path.join(bench.dir, 'elastic.bin');
const planned = await otter(['table', 'plan', '--flash', '4MB', '--app', '300K', '-o', TABLE, '--json']);
assert.equal(planned.code, 0, planned.err);
const POOL = 0x10000, END = 0x400000, FIT = 5 * BLOCK, TOP = END - FIT;
const pool = { offset: POOL, size: END - POOL }, span = (from, to) => ({ offset: from, size: to - from });
const LOW = span(POOL, POOL + FIT), HIGH = span(TOP, END), BETWEEN = span(POOL + FIT, TOP);
const division = (state, app, update, data, free = 0) => ({ state, pool, app, update, data, free, costs_files: false, data_image: null });

const image = (version, size = APP, seed = Number(version.replaceAll('.', ''))) => bench.image(version, { size, seed });
const v10 = await image('1.0.0'), v11 = await image('1.1.0'), v12 = await image('1.2.0');
const device = options => bench.device({ image: v10, table: TABLE, scenario: NOBODY, ...options });

async function info(d) {
    const before = d.bytes(), r = await otter(['flash', 'info', d.flash, '--json']);
    assert.equal(r.code, 0, r.err);
    assert.ok(before.equals(d.bytes()), 'flash info has changed the file');
    return JSON.parse(r.out);
}

async function said(d) {
    const { largest, ...now } = (await d.status()).division;
    return now;
}

// What flash info says of the flash of a device that is off is what the device says when it is on again.
async function foretold(d, state) {
    await d.stop();
    const i = await info(d);
    await d.start();
    const s = await d.status();
    assert.deepEqual(i.division, s.division);
    assert.equal(i.division.state, state);
    assert.equal(i.boots, s.running.slot);
    return i;
}

function refused(reply, status, name, words = /./) {
    assert.equal(reply.status, status, reply.body);
    assert.equal(reply.headers['otter-result'], name, reply.body);
    assert.match(reply.body, words);
}

async function untouched(d, act) {
    const before = d.bytes();
    await act();
    assert.ok(before.equals(d.bytes()), 'the flash has changed');
}

async function switched(d, file, version) {
    const reply = await d.upload(file);
    assert.equal(reply.status, 200, reply.body);
    return d.runs(version, 'pending_verify');
}

async function settled(d, version) {
    assert.equal((await d.curl(CONFIRM, '-X', 'POST')).status, 200);
    await d.runs(version);
}

describe('the division, step by step', { concurrency: 2 }, () => {
    test('up to the top, and back to the bottom', async () => {
        const d = await device(), bytes = fs.readFileSync(v11);
        assert.deepEqual((await d.status()).division,
            { ...division('settled', LOW, null, span(POOL + FIT, END)), largest: END - POOL - FIT });

        const raw = d.raw();
        await raw.write(head('POST', UPLOAD, { 'Content-Length': bytes.length }));
        assert.equal((await said(d)).state, 'settled');
        await raw.write(bytes.subarray(0, 100000));
        await d.seen('an update under way', s => s.division.state === 'updating');
        assert.deepEqual(await said(d), division('updating', LOW, HIGH, BETWEEN));
        await raw.write(bytes.subarray(100000));
        assert.equal((await raw.reply()).status, 200);
        await d.runs('1.1.0', 'pending_verify');
        assert.deepEqual(await said(d), division('pending', HIGH, LOW, BETWEEN));
        refused(await d.upload(v12), 409, 'pending_verify');
        await settled(d, '1.1.0');
        assert.deepEqual(await said(d), division('settled', HIGH, null, span(POOL, TOP)));
        refused(await d.curl(ROLLBACK, '-X', 'POST'), 409, 'no_previous');

        await switched(d, v12, '1.2.0');
        assert.deepEqual(await said(d), division('pending', LOW, HIGH, BETWEEN));
        await settled(d, '1.2.0');
        assert.deepEqual(await said(d), division('settled', LOW, null, span(POOL + FIT, END)));
    });

    test('a smaller app: what is above it is free', async () => {
        const d = await device();
        await switched(d, await image('1.1.0', 100 * KIB), '1.1.0');
        await settled(d, '1.1.0');
        const at = END - 4 * BLOCK; // the smallest slot has four blocks
        assert.deepEqual(await said(d),
            division('settled', span(at, at + 2 * BLOCK), null, span(POOL, at), 2 * BLOCK));
    });

    test('a multipart length is a bound', async () => {
        const d = await device(), bytes = fs.readFileSync(await image('1.1.0', 100 * KIB)), at = END - 4 * BLOCK;
        const body = Buffer.concat([Buffer.from('--XyZ\r\nContent-Disposition: form-data; name="f"; filename="a"\r\n\r\n'),
            bytes, Buffer.from('\r\n--XyZ--\r\n')]);
        const raw = d.raw();
        await raw.write(head('POST', '/update',
            { 'Content-Length': body.length, 'Content-Type': 'multipart/form-data; boundary=XyZ' }));
        await raw.write(body.subarray(0, 50000));
        await d.seen('an update under way', s => s.division.state === 'updating');
        assert.deepEqual(await said(d),
            division('updating', LOW, span(at, at + 2 * BLOCK), span(POOL + FIT, at), 2 * BLOCK));
        await raw.write(body.subarray(50000));
        assert.equal((await raw.reply()).status, 200);
        await d.runs('1.1.0', 'pending_verify');
        assert.deepEqual(await said(d),
            division('pending', span(at, at + 2 * BLOCK), LOW, span(POOL + FIT, at), 2 * BLOCK));
    });

    test('rolled back: the firmware before, and data has all the rest', async () => {
        const d = await device();
        await switched(d, v11, '1.1.0');
        assert.equal((await d.curl(ROLLBACK, '-X', 'POST')).status, 200);
        await d.runs('1.0.0');
        assert.deepEqual(await said(d), division('went_back', LOW, null, span(POOL + FIT, END)));
        const i = await foretold(d, 'went_back');
        assert.deepEqual(i.next_update, { slot: 'ota_1', max_size: END - POOL - FIT });
    });
});

describe('sizes, before anything is erased', { concurrency: 2 }, () => {
    test('no length', async () => {
        const d = await device();
        await untouched(d, async () =>
            refused(await d.upload(v11, '-H', 'Transfer-Encoding: chunked'), 411, 'length_required'));
    });

    test('too big, with the numbers', async () => {
        const d = await device(), size = 3900000, big = await image('1.1.0', size);
        const file = fs.statSync(big).size, words = new RegExp(`${file} bytes; .*${FIT} of the ${END - POOL} .*${END - POOL - FIT}`);
        await untouched(d, async () => {
            refused(await d.upload(big), 413, 'too_big', words);
            refused(await d.curl('/update', '-F', `firmware=@${big}`), 413, 'too_big', /bytes there are/);
            const r = await otter(['push', big, d.url, '--quiet']);
            assert.equal(r.code, 4, r.err);
            assert.match(r.err, new RegExp(`${file} bytes.*at most ${END - POOL - FIT} \\(too_big\\)`));
        });
    });
});

describe('otter push', { concurrency: 2 }, () => {
    // Its slot is not the one that an app as large as the running one would have.
    for (const [name, size, slot] of [['larger', 400 * KIB, 'ota_3'], ['smaller', 100 * KIB, 'ota_6']])
        test(`a ${name} image`, async () => {
            const d = await device({ scenario: HEALTHY }), file = await image('1.1.0', size);
            const r = await otter(['push', file, d.url, '--quiet']);
            assert.equal(r.code, 0, r.err);
            assert.equal(r.out, `1.0.0 (ota_0) -> 1.1.0 (${slot}): confirmed\n`);
        });

    test('without waiting it names the slot all the same', async () => {
        const d = await device(), r = await otter(['push', await image('1.1.0', 100 * KIB), d.url, '--quiet', '--no-wait']);
        assert.equal(r.out, '1.0.0 (ota_0) -> 1.1.0 (ota_6): switched\n');
    });

    test('firmware that goes back is not taken for the new one', async () => {
        const d = await device({ scenario: { '1.1.0': { behaviour: 'crash_at_boot' } } });
        const r = await otter(['push', await image('1.1.0', 100 * KIB), d.url, '--quiet']);
        assert.equal(r.code, 5, r.err);
        assert.match(r.out, /: rolled_back$/m);
    });
});

describe('power, and the flash of a device that is off', { concurrency: 2 }, () => {
    test('cut in the middle, and gone on by push', async () => {
        const d = await device({ scenario: HEALTHY, args: ['--power-cut', '700'] });
        const before = await info(d);
        assert.deepEqual(before.division, (await d.status()).division);
        const cut = await d.upload(v11, '-H', 'X-Firmware-SHA256: ' + sha256(fs.readFileSync(v11)));
        assert.notEqual(cut.exit, 0, 'power never went');
        await d.seen('the device, come back', s => s.boot_id === 2);
        d.options.args = [];
        const i = await foretold(d, 'updating');
        assert.deepEqual(i.division.update, HIGH);
        assert.deepEqual(i.division.data, BETWEEN);
        const { resume } = await d.status();
        assert.ok(resume.wanted > 0 && resume.wanted < resume.size);
        const from = d.log.length, r = await otter(['push', v11, d.url, '--quiet']);
        assert.equal(r.code, 0, r.err);
        assert.doesNotMatch(d.log.slice(from), /accepted/, 'it began anew');
        assert.deepEqual(await said(d), division('settled', HIGH, null, span(POOL, TOP)));
        const done = await foretold(d, 'settled');
        assert.deepEqual(done.next_update, { slot: 'ota_0', max_size: TOP - POOL });
    });

    test('off while on trial: it would go back, and does', async () => {
        const d = await device();
        await switched(d, v11, '1.1.0');
        const i = await foretold(d, 'went_back');
        assert.equal(i.boots, 'ota_0');
    });

    test('off between switch and restart: the trial begins', async () => {
        const d = await device();
        assert.equal((await d.upload(v11)).status, 200);
        const i = await foretold(d, 'pending');
        assert.equal(i.boots, 'ota_5');
        assert.equal(i.next_update, null);
    });

    test('a switch that a cut has undone is made again', async () => {
        const d = await device();
        assert.equal((await d.upload(v11)).status, 200);
        await d.stop();
        const flash = d.bytes(), i = await info(d), newest = i.otadata.findIndex(e => e.slot === 5);
        const { offset } = i.partitions.find(p => p.name === 'otadata');
        flash.fill(0xff, offset + newest * 4096, offset + (newest + 1) * 4096);
        fs.writeFileSync(d.flash, flash);
        assert.equal((await foretold(d, 'pending')).boots, 'ota_5');
    });

    test('in words, and as a bar', async () => {
        const d = await device();
        assert.equal((await d.upload(v11)).status, 200);
        await d.stop();
        const { out } = await otter(['flash', 'info', d.flash]);
        assert.match(out, /^division +pending: .*on trial/m);
        assert.match(out, /^next update +none is possible: .*confirm/im);
        assert.match(out, /^ +# +app +0x003b0000 +327680 +320 KiB$/m);
        assert.match(out, /^ +\+ +the image before +0x00010000 +327680 +320 KiB$/m);
        assert.match(out, /^ += +data +0x00060000 +3473408 +3392 KiB$/m);
        assert.match(out, /^ +\. +free +0 +0 KiB$/m);
        assert.match(out, new RegExp(`^ +0x00010000 \\|\\+{5}={53}#{5}\\| 0x00400000$`, 'm'));
    });
});

// ---- files, and the data image that follows an app

const PUT_DATA = '/api/v1/data', FILES = '/api/v1/files/';
const store = (d, name, text) => d.curl(FILES + name, '-X', 'PUT', '--data-binary', text);

// What somebody's device keeps beside an app in the highest slot: as a data image.
async function dataImage() {
    const d = await device({ scenario: HEALTHY });
    assert.equal((await d.upload(v11)).status, 200);
    await d.runs('1.1.0');
    assert.equal((await store(d, 'hello.txt', 'kept')).status, 200);
    const { data } = (await d.status()).division;
    await d.stop();
    return bench.file(d.bytes().subarray(data.offset, data.offset + data.size));
}

const announce = file => ['-H', `X-Data-Size: ${fs.statSync(file).size}`, '-H', `X-Data-SHA256: ${sha256(fs.readFileSync(file))}`];
const send = (d, file, ...rest) => d.curl(PUT_DATA, '-X', 'PUT', '--data-binary', '@' + file, ...rest);

async function waiting(data) {
    const d = await device({ scenario: HEALTHY });
    assert.equal((await d.upload(v11, ...announce(data))).status, 200);
    await d.runs('1.1.0');
    const { state, data_image } = (await d.status()).division;
    assert.equal(state, 'waiting_for_data');
    assert.deepEqual(data_image, { size: fs.statSync(data).size, sha256: sha256(fs.readFileSync(data)), wanted: 0 });
    return d;
}

async function restored(d) {
    const { state, data_image } = (await d.status()).division;
    assert.deepEqual([state, data_image], ['settled', null]);
    assert.equal((await d.curl(FILES + 'hello.txt')).body, 'kept');
}

describe('data follows the app', { concurrency: 2 }, () => {
    test('delivered after the confirmation', async () => {
        const data = await dataImage(), d = await waiting(data);
        assert.equal((await d.curl(FILES + 'hello.txt')).status, 409, 'the region is nobody\'s');
        const reply = await send(d, data);
        assert.equal(reply.status, 200, reply.body);
        assert.equal(reply.headers['otter-result'], 'restored');
        await restored(d);
        await d.stop();
        await d.start();
        await restored(d);
    });

    test('goes on where it was cut', async () => {
        const data = await dataImage(), bytes = fs.readFileSync(data), d = await waiting(data), raw = d.raw();
        await raw.write(head('PUT', PUT_DATA, { 'Content-Length': bytes.length }));
        await raw.write(bytes.subarray(0, bytes.length / 2 | 0));
        await d.seen('half of the data image', s => s.division.data_image.wanted >= bytes.length / 4);
        await d.stop();
        await d.start();
        const { wanted } = (await d.status()).division.data_image;
        assert.ok(wanted > 0 && wanted % BLOCK === 0 && wanted < bytes.length);
        const rest = bench.file(bytes.subarray(wanted));
        refused(await send(d, data), 409, 'wrong_offset');
        const reply = await send(d, rest, '-H', `Content-Range: bytes ${wanted}-${bytes.length - 1}/${bytes.length}`);
        assert.equal(reply.status, 200, reply.body);
        await restored(d);
    });

    test('another image, or none', async () => {
        const data = await dataImage(), bytes = fs.readFileSync(data), d = await waiting(data);
        bytes[70000] ^= 1;
        refused(await send(d, bench.file(bytes)), 523, 'wrong_digest');
        refused(await send(d, bench.file(bytes.subarray(1))), 522, 'wrong_size');
        refused(await d.curl(PUT_DATA, '-X', 'PUT', '-T', '-', { input: 'chunks' }), 411, 'length_required');
        refused(await d.curl(PUT_DATA), 405, 'method_not_allowed');
        assert.equal((await send(d, data)).status, 200);
        await restored(d);
        refused(await send(d, data), 409, 'bad_state');
        const other = await waiting(data);
        assert.equal((await other.curl(PUT_DATA, '-X', 'DELETE')).status, 200);
        assert.equal((await other.status()).division.state, 'settled');
        assert.deepEqual(JSON.parse((await other.curl(FILES)).body).files, []);
        refused(await other.curl(PUT_DATA, '-X', 'DELETE'), 409, 'bad_state');
    });

    test('files go only with consent', async () => {
        const d = await device({ scenario: HEALTHY });
        assert.equal((await d.status()).division.costs_files, false, 'there are none');
        assert.equal((await store(d, 'a.txt', 'precious')).status, 200);
        assert.equal((await d.status()).division.costs_files, true);
        await untouched(d, async () => refused(await d.upload(v11), 409, 'data_would_be_lost', /save them, and agree/));
        assert.equal((await d.curl(FILES + 'a.txt')).body, 'precious');
        assert.equal((await d.upload(v11, '-H', 'X-Data-Loss: accepted')).status, 200);
        await d.runs('1.1.0');
        assert.deepEqual(JSON.parse((await d.curl(FILES)).body).files, []);
    });

    test('announcements that say nothing', async () => {
        const d = await device({ scenario: HEALTHY }), fixed = await bench.device({ image: v10, scenario: HEALTHY });
        const digest = `X-Data-SHA256: ${'0'.repeat(64)}`, size = 'X-Data-Size: 1000';
        for (const bad of [[digest], [size], [size, 'X-Data-SHA256: 12'], ['X-Data-Size: -1', digest], ['X-Data-Size: 0', digest],
            ['X-Data-Loss: perhaps']])
            refused(await d.upload(v11, ...bad.flatMap(h => ['-H', h])), 400, 'bad_argument');
        refused(await fixed.upload(v11, '-H', size, '-H', digest), 400, 'bad_argument');
        refused(await d.upload(v11, '-H', 'X-Data-Size: 4000000', '-H', digest), 413, 'data_too_big');
    });

    test('otter push delivers both', async () => {
        const data = await dataImage(), d = await device({ scenario: HEALTHY });
        const r = await otter(['push', v11, d.url, '--data', data, '--json'], { ms: 60000 }), o = JSON.parse(r.out);
        assert.equal(r.code, 0, r.err);
        assert.deepEqual([o.result, o.version, o.data_restored], ['confirmed', '1.1.0', true]);
        await restored(d);
    });

    test('otter push, said again, goes on with the data alone', async () => {
        const data = await dataImage(), bytes = fs.readFileSync(data), d = await waiting(data), raw = d.raw();
        await raw.write(head('PUT', PUT_DATA, { 'Content-Length': bytes.length }));
        await raw.write(bytes.subarray(0, bytes.length / 2 | 0));
        await d.seen('half of the data image', s => s.division.data_image.wanted >= bytes.length / 4);
        raw.destroy?.();
        await d.stop();
        await d.start();
        const { boot_id } = await d.status();
        const r = await otter(['push', v11, d.url, '--data', data, '--json'], { ms: 60000 }), o = JSON.parse(r.out);
        assert.equal(r.code, 0, r.err);
        assert.deepEqual([o.result, o.data_restored], ['already_current', true]);
        assert.equal((await d.status()).boot_id, boot_id, 'the app was not sent again');
        await restored(d);
    });

    test('otter push and files in the way', async () => {
        const d = await device({ scenario: HEALTHY }), fixed = await bench.device({ image: v10, scenario: HEALTHY });
        assert.equal((await store(d, 'a.txt', 'precious')).status, 200);
        const stays = await otter(['push', v11, d.url, '--quiet']);
        assert.equal(stays.code, 4);
        assert.match(stays.err, /data_would_be_lost/);
        const goes = await otter(['push', v11, d.url, '--quiet', '--accept-data-loss'], { ms: 60000 });
        assert.equal(goes.code, 0, goes.err);
        const no = await otter(['push', v11, fixed.url, '--data', v10]);
        assert.equal(no.code, 4);
        assert.match(no.err, /fixed: there is no room that a data image could go to/);
        assert.equal((await otter(['push', v11, d.url, '--data', v10, '--no-wait'])).code, 2);
        assert.equal((await otter(['push', v11, d.url, '--data', '/no/such.file'])).code, 2);
    });

    test('files made on trial stay where the region just grows at its end', async () => {
        const d = await device({ scenario: { ...HEALTHY, '1.2.0': { behaviour: 'never_confirms' } } });
        assert.equal((await d.upload(v11)).status, 200);
        await d.runs('1.1.0');
        assert.equal((await d.upload(v12)).status, 200);
        await d.runs('1.2.0', 'pending_verify');
        assert.equal((await said(d)).state, 'pending');
        assert.equal((await store(d, 'trial.txt', 'made on trial')).status, 200);
        assert.equal((await d.curl(CONFIRM, '-X', 'POST')).status, 200);
        assert.deepEqual(await said(d), { ...division('settled', LOW, null, span(POOL + FIT, END)), costs_files: true });
        assert.equal((await d.curl(FILES + 'trial.txt')).body, 'made on trial');
        await d.stop();
        await d.start();
        assert.equal((await d.curl(FILES + 'trial.txt')).body, 'made on trial');
    });
});
