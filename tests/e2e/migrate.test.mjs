// otter table migrate: a whole flash with fixed slots goes over to elastic ones; what it says beforehand, what it refuses.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, test } from 'node:test';
import { Bench, otter } from './device.mjs';

const bench = new Bench();
after(() => bench.close());

const APP = await bench.image('1.0.0', { size: 700000 });

async function whole(table, image = APP, parts = []) {
    const file = bench.file(Buffer.alloc(0), '.flash');
    const r = await otter(['flash', 'build', '-o', file, '--chip', 'esp32c3', '--flash-size', '4M', '--table', table,
        '--app', image, ...parts]);
    assert.equal(r.code, 0, r.err);
    return file;
}

async function boots(file) {
    const r = await otter(['flash', 'boot', file, '--rollback', '--json']);
    return JSON.parse(r.out).offset;
}

async function migrate(file, ...options) {
    const r = await otter(['table', 'migrate', file, '--json', ...options]);
    return { code: r.code, err: r.err, ...(r.out ? JSON.parse(r.out) : {}) };
}

test('planned, said, refused without consent, done with it', async () => {
    const file = await whole('two_ota_usr'), before = fs.readFileSync(file), table = bench.file('', '.table');
    assert.equal(await boots(file), 0x10000);
    const words = await otter(['table', 'migrate', file, '-o', table]);
    assert.equal(words.code, 4);
    assert.match(words.err, /not done: the window has to be accepted: --accept-window\n$/);
    assert.match(words.out, /window: {3}1 erase and \d page writes of the sector at 0x8000, about \d+ ms; if power goes between/);
    assert.match(words.out, /given up: partition "usr", 320 KiB, blank\n/);
    assert.deepEqual(fs.readFileSync(file), before, 'nothing is done without consent');
    const planned = await migrate(file);
    assert.equal(planned.code, 4);
    assert.equal(planned.migrated, false);
    const done = await migrate(file, '--accept-window');
    assert.equal(done.code, 0, done.err);
    assert.deepEqual({ ...planned, code: 0, err: '', migrated: true }, done);
    assert.deepEqual(done.dropped, ['usr']);
    assert.equal(await boots(file), 0x10000);
    const after = fs.readFileSync(file), inTable = fs.readFileSync(table);
    assert.deepEqual(after.subarray(0x8000, 0x8000 + inTable.length), inTable, 'the table is the one that -o wrote');
    // The window's page writes are the table's pages.
    const used = inTable.findLastIndex(b => b !== 0xFF);
    assert.equal(done.window.page_writes, Math.floor(used / 256) + 1);
    assert.equal(done.window.erases, 1);
    assert.deepEqual(after.subarray(0x10000, 0x10000 + 700000), before.subarray(0x10000, 0x10000 + 700000));
    const verdict = await otter(['table', 'verify', table, '--flash-size', '4M']);
    assert.equal(verdict.code, 0, verdict.out + verdict.err);
    const again = await migrate(file, '--accept-window');
    assert.equal(again.code, 4);
    assert.match(again.err, /slots overlap already/);
});

test('from the upper slot, and on by an update', async () => {
    const d = await bench.device({ image: APP, scenario: { '*': { behaviour: 'healthy', confirm_after_ms: 0 } } });
    const next = await bench.image('1.1.0', { size: 700000 });
    const r = await otter(['push', next, d.url, '--quiet']);
    assert.equal(r.code, 0, r.err);
    await d.stop();
    const runs = await boots(d.flash), done = await migrate(d.flash, '--accept-window');
    assert.equal(done.code, 0, done.err);
    assert.equal(done.from, 'ota_1');
    assert.equal(done.offset, runs);
    assert.equal(await boots(d.flash), runs);
    await d.start();
    const status = await d.get('/api/v1/firmware/status');
    assert.equal(status.division.state, 'settled');
    assert.equal(status.running.offset, runs);
    const back = await otter(['push', APP, d.url, '--quiet']);
    assert.equal(back.code, 0, back.err);
    assert.equal((await d.get('/api/v1/firmware/status')).running.offset, status.division.pool.offset);
});

test('data that would be lost has to be given up by name', async () => {
    const usr = bench.file(Buffer.from('files'), '.usr'), file = await whole('two_ota_usr', APP, ['--part', `usr=${usr}`]);
    const r = await migrate(file, '--accept-window');
    assert.equal(r.code, 4);
    assert.equal(r.data_lost, true);
    assert.match(r.err, /--drop-data/);
    assert.equal((await migrate(file, '--accept-window', '--drop-data')).code, 0);
});

test('what cannot go over is said', async () => {
    const fixed = await whole('two_ota_usr'), factory = await whole('two_ota');
    const cases = [[[factory], 4, /does not run from an ota slot; update it first/],
        [[fixed, '--no-rollback'], 4, /needs? .*boot loader that rolls back/], [[fixed, '--app', '4000K'], 4, /no room for another/],
        [['/no/such.bin'], 2, /no\/such/], [[APP], 3, /no whole flash|partition table/], [[], 2, /it takes one FLASH.bin/],
        [[fixed, '--app', '0'], 2, /is no size/]];
    for (const [args, code, words] of cases) {
        const r = await otter(['table', 'migrate', ...args, '--accept-window']);
        assert.equal(r.code, code, args.join(' ') + r.err);
        assert.match(r.err, words);
    }
    const large = await otter(['table', 'migrate', fixed, '--app', '3000K']);
    assert.match(large.out, /warning: .*3000 KiB cannot be followed by its like: at most by one of \d+ KiB/);
    assert.match((await otter(['table', 'migrate', '--help'])).out, /^Usage: otter table migrate FLASH\.bin/);
});

// ---- by the device itself

const HEALTHY = { '*': { behaviour: 'healthy', confirm_after_ms: 0 } };
const MIGRATE = '/api/v1/table/migrate', YES = ['-H', 'X-Accept-Window: yes'];
const post = (d, file, ...rest) => d.curl(MIGRATE, '--data-binary', '@' + file, ...rest);

function refused(reply, status, name, words = /./) {
    assert.equal(reply.status, status, reply.body);
    assert.equal(reply.headers['otter-result'], name, reply.body);
    assert.match(reply.body, words);
}

test('a device goes over, if the window is accepted', async () => {
    const d = await bench.device({ image: APP, scenario: HEALTHY }), table = bench.file('', '.table');
    await d.stop();
    assert.equal((await otter(['table', 'migrate', d.flash, '-o', table])).code, 4);
    await d.start();
    const before = d.bytes(), { boot_id, running } = await d.status();
    refused(await post(d, table), 409, 'window_not_accepted', /loss of power meanwhile costs the device/);
    refused(await post(d, table, '-H', 'X-Accept-Window: perhaps'), 409, 'window_not_accepted');
    const wrong = Buffer.from(fs.readFileSync(table));
    wrong[40] ^= 1;
    refused(await post(d, bench.file(wrong), ...YES), 521, 'table_bad_md5');
    refused(await post(d, bench.file(Buffer.alloc(5000)), ...YES), 522, 'wrong_size');
    refused(await d.curl(MIGRATE, '-X', 'POST', ...YES), 411, 'length_required');
    refused(await d.curl(MIGRATE, '-X', 'GET'), 405, 'method_not_allowed');
    refused(await post(d, table, ...YES, '-H', 'Origin: http://elsewhere.example'), 403, 'foreign_origin');
    const other = bench.file('', '.table');
    assert.equal((await otter(['table', 'build', '--preset', 'two_ota', '-o', other])).code, 0);
    refused(await post(d, other, ...YES), 409, 'cannot_migrate', /Here: the new table has a factory app\./);
    assert.deepEqual(d.bytes(), before, 'nothing was touched');
    const reply = await post(d, table, ...YES);
    assert.equal(reply.status, 200, reply.body);
    const s = await d.seen('the device as an elastic one', now => now.boot_id !== boot_id);
    assert.equal(s.division.state, 'settled');
    assert.equal(s.running.offset, running.offset);
    const next = await bench.image('1.1.0', { size: 700000 });
    assert.equal((await otter(['push', next, d.url, '--quiet'], { ms: 60000 })).code, 0);
    refused(await post(d, table, ...YES), 409, 'cannot_migrate', /Here: the slots are elastic already\./);
});
