// otter torture: the proof holds for the engine, and finds every planted bug; what it prints replays it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { Bench, OTTER, otter, run } from './device.mjs';

const bench = new Bench();
after(() => bench.close());

const MINUTES = { ms: 120000 };
const BUGS = path.join(path.dirname(OTTER), 'tests');

async function image(version, size) {
    const file = path.join(bench.dir, `${version}-${size}.bin`);
    const r = await otter(['image', 'synth', '--chip', 'esp32c3', '--project', 'demo', '--version', version,
        '--size', size, '--seed', size + version[0], '-o', file]);
    assert.equal(r.code, 0, r.err);
    return file;
}
const old = await image('1.0.0', 1000), small = await image('2.0.0', 8000);
const same = await image('2.0.0', 1000);
const middle = await image('2.0.0', 90000), large = await image('2.0.0', 200000);

const torture = (args, program = OTTER) =>
    run(program, (program === OTTER ? ['torture'] : []).concat(args.map(String)), MINUTES);

async function proof(args) {
    const r = await torture([...args, '--json']);
    assert.equal(r.err, '');
    return { code: r.code, ...JSON.parse(r.out) };
}

test('every operation, every kind of tear', async t => {
    const o = await proof(['two_ota', old, small, '--depth', 1]);
    assert.equal(o.code, 0);
    assert.equal(o.violations, 0);
    assert.deepEqual(o.failures, []);
    assert.ok(o.complete && o.cuts > 30000 && o.faults > 1000, JSON.stringify(o));
    const sum = counts => Object.values(counts).reduce((a, b) => a + b);
    assert.equal(sum(o.by_kind), o.cuts);
    assert.equal(sum(o.by_phase), o.cuts);
    const { data, ...phases } = o.by_phase;
    assert.equal(data, 0, 'no data image without elastic slots');
    for (const [what, n] of Object.entries({ ...o.by_kind, ...phases })) assert.ok(n > 0, what);
    assert.deepEqual([...new Set(o.flows.map(f => f.flow.split('/')[0]))].sort(),
        ['confirm', 'crash', 'resume', 'settings', 'unhealthy']);
    t.diagnostic(`${o.cuts} cuts, ${o.faults} lost writes, no violation`);
});

test('and again on the way on', async t => {
    const o = await proof(['two_ota_usr', old, small, '--one-in', 7]);
    assert.equal(o.violations, 0);
    assert.ok(o.cuts > 20000, `${o.cuts} cuts`);
    t.diagnostic(`${o.cuts} cuts, two deep, no violation`);
});

test('the same seed gives the same cuts, on any number of threads', async () => {
    const args = ['two_ota', old, small, '--depth', 2, '--one-in', 40];
    const facts = ({ cuts, faults, by_kind, by_phase, flows }) => ({ cuts, faults, by_kind, by_phase, flows });
    const one = await proof([...args, '--jobs', 1]), three = await proof([...args, '--jobs', 3]);
    assert.deepEqual(facts(one), facts(three));
    assert.notDeepEqual(facts(await proof([...args, '--seed', 2])), facts(one));
});

// Slots that overlap, from these heights to the end.
async function overlapping(name, heights, end) {
    const rows = heights.map((at, i) => `ota_${i},app,ota_${i},${at},${end - at}`), csv = path.join(bench.dir, `${name}.csv`);
    fs.writeFileSync(csv, ['nvs,data,nvs,0x9000,0x5000', 'otadata,data,ota,0xE000,0x2000', ...rows, ''].join('\n'));
    const table = path.join(bench.dir, `${name}.table`);
    const r = await otter(['table', 'build', csv, '-o', table, '--overlapping-slots', '--flash-size', '2MB']);
    assert.equal(r.code, 0, r.err);
    return table;
}
const heights = [0x10000, 0x50000, 0x90000, 0xC0000, 0xE0000, 0x100000, 0x110000, 0x120000, 0x130000];
const elastic = await overlapping('elastic', heights, 0x140000);
// No room for data between two images.
const tight = await overlapping('tight', [0x10000, 0x20000], 0x40000);

// ---- planted bugs: the image on which each shows, and the invariants that it breaks

const bugs = {
    no_read_back: [small, [2]],
    switch_before_verify: [small, [2]],
    one_sector_otadata: [small, [2]],
    confirm_wrong_slot: [small, [2]],
    record_too_early: [middle, [6]],
    erase_running: [small, [5]],
    header_first: [small, [5]],
    stale_header: [large, [5]],
    given_up_header: [small, [5]],
    progress_kept: [large, [6]],
    data_over_old: [small, [7], elastic],
    shape_kept: [small, [7], tight],
    old_header_left: [small, [7], elastic],
    image_noted_late: [small, [7], elastic],
};

async function found(t, bug, firmware, invariants, table = 'two_ota') {
    const program = path.join(BUGS, `torture_${bug}`), args = [table, old, firmware];
    const r = await torture([...args, '--depth', 1, '--jobs', 1, '--json'], program), o = JSON.parse(r.out);
    assert.equal(r.code, 5, r.err);
    assert.ok(o.violations > 0);
    const failure = o.failures[0];
    assert.ok(invariants.includes(failure.invariant), JSON.stringify(failure));
    assert.ok(failure.replay.endsWith(`--seed 1 --replay ${failure.path}`), failure.replay);
    t.diagnostic(`${bug}: found after ${o.cuts + o.faults} cuts, at ${failure.path}`);
    const again = await torture([...args, '--seed', 1, '--replay', failure.path], program);
    assert.equal(again.code, 5, again.out);
    assert.ok(again.out.includes(`invariant ${failure.invariant} does not hold: ${failure.what}`), again.out);
    const without = await torture([...args, '--seed', 1, '--replay', failure.path]);
    assert.equal(without.code, 0, without.out);
    assert.match(without.out, /every invariant holds\n$/);
}

describe('planted bugs are found', { concurrency: 2 }, () => {
    for (const [bug, [firmware, invariants, table]] of Object.entries(bugs))
        test(bug, t => found(t, bug, firmware, invariants, table));
    test('all that are planted', () => {
        const planted = fs.readdirSync(BUGS).filter(f => /^torture_[a-z_]+$/.test(f)).map(f => f.slice(8));
        assert.deepEqual(planted.sort(), Object.keys(bugs).sort());
    });
});

// ---- a user's own

test('words', async () => {
    const r = await torture(['two_ota', old, small, '--depth', 1, '--one-in', 50]);
    assert.equal(r.code, 0);
    assert.equal(r.err, '', 'no bar in a pipe');
    assert.match(r.out, /confirm\/ota_0\/blank +\d+\n/);
    assert.match(r.out, /random-bits +\d+\n/);
    assert.match(r.out, /give-up +\d+\n/);
    assert.match(r.out, /\d+ cuts and \d+ lost writes in .* a second: 0 violations\n$/);
    const story = await torture(['two_ota', old, small, '--replay', 'crash/ota_0/old:1:before:0']);
    assert.match(story.out, /I boot: Loaded app from partition at offset 0x110000\n/);
    assert.match(story.out, /I flow: power goes at operation 1 \(before\), phase receive\n/);
    assert.match((await torture(['--help'])).out, /^Usage: otter torture TABLE OLD\.bin NEW\.bin/);
});

test("a table of one's own", async () => {
    const csv = path.join(bench.dir, 'own.csv'), bin = path.join(bench.dir, 'own.bin');
    fs.writeFileSync(csv, 'otadata,data,ota,0x9000,8K\na,app,ota_0,0x10000,64K\nb,app,ota_1,,64K\nc,app,ota_2,,64K\n');
    assert.equal((await otter(['table', 'build', csv, '-o', bin])).code, 0);
    const args = [old, small, '--depth', 1, '--one-in', 5];
    const o = await proof([csv, ...args]), b = await proof([bin, ...args]);
    assert.equal(o.violations, 0);
    assert.equal(o.cuts, b.cuts);
    const flows = o.flows.map(f => f.flow);
    assert.ok(flows.includes('confirm/ota_2/old'));
    // Without a partition for settings nothing is kept, and without a factory app nothing starts there.
    assert.ok(!flows.some(f => /settings|resume|factory/.test(f)));
});

// Slots that overlap are the elastic layout's; somebody keeps files in what it leaves, with an image's magic byte at every
// place where a slot begins.
describe('elastic', { concurrency: 2 }, () => {
    const cases = {
        'growing': [old, small, ['--depth', 1, '--one-in', 2]], 'shrinking': [small, old, ['--depth', 1, '--one-in', 2]],
        'equal': [old, same, ['--depth', 1, '--one-in', 2]], 'cut twice': [old, small, ['--one-in', 12]],
        'beyond one block': [old, middle, ['--depth', 1, '--one-in', 30]],
        'no room between': [old, small, ['--depth', 1, '--one-in', 4], tight],
    };
    for (const [name, [from, to, options, table = elastic]] of Object.entries(cases))
        test(name, async t => {
            const o = await proof([table, from, to, ...options]);
            assert.equal(o.violations, 0, JSON.stringify(o.failures));
            assert.ok(o.cuts > 1000, `${o.cuts} cuts`);
            for (const [phase, n] of Object.entries(o.by_phase)) assert.ok(n > 0, phase);
            assert.deepEqual([o.table_erases, o.table_writes], [0, 0]);
            t.diagnostic(`${name}: ${o.cuts} cuts, no violation; partition table sector: 0 erases, 0 writes`);
        });
});

test('what cannot be proven is said', async () => {
    const other = path.join(bench.dir, 'other.bin'), broken = path.join(bench.dir, 'broken.bin');
    await otter(['image', 'synth', '--chip', 'esp32c3', '--project', 'other', '--version', '2.0.0', '--size', 900, '-o', other]);
    const bytes = fs.readFileSync(small);
    bytes[500] ^= 1;
    fs.writeFileSync(broken, bytes);
    const refused = {
        'the same image': [['two_ota', old, old], 2, /OLD and NEW are the same image/],
        'damaged': [['two_ota', old, broken], 3, /the new image: .*checksum/],
        'another project': [['two_ota', old, other], 4, /the new image does not allow this proof: .*project/],
        'no second slot': [['singleapp', old, small], 4, /partition table does not allow this proof/],
        'no such table': [['no_such', old, small], 2, /no_such/],
        'no such image': [['two_ota', old, '/no/such.bin'], 2, /\/no\/such\.bin/],
        'depth': [['two_ota', old, small, '--depth', 3], 2, /--depth: "3" is no number from 1 to 2/],
        'path': [['two_ota', old, small, '--replay', 'here:1'], 2, /--replay: "here:1" is no path/],
        'slot': [['two_ota', old, small, '--replay', 'confirm/ota_9/blank'], 4, /partition table does not allow/],
        'one argument': [['two_ota'], 2, /it takes a TABLE, the OLD image and the NEW one/],
    };
    for (const [what, [args, code, words]] of Object.entries(refused)) {
        const r = await torture(args);
        assert.equal(r.code, code, `${what}: ${r.err}`);
        assert.match(r.err, words, what);
        assert.equal(r.out, '', what);
    }
});
