// Whole-flash files with overlapping slots, one for each state that an update can leave: from which offset the boot loader
// starts, and what it writes. Every expectation is written out, so that a real boot loader can be held against it:
// OTTER_BOOTLOADER=FILE puts that one in, OTTER_KEEP=DIR keeps the files and what is expected of them.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Bench, otter } from './device.mjs';

const bench = new Bench();
after(() => bench.close());

const FLASH = ['--chip', 'esp32c3', '--flash-size', '4MB'], OTADATA = 0xd000, SECTOR = 0x1000, HEAD = 32;
const SLOT = { ota_0: 0x10000, ota_2: 0x210000, ota_5: 0x240000, ota_8: 0x270000, ota_9: 0x280000, ota_12: 0x2b0000,
    ota_15: 0x2e0000 };
const table = path.join(bench.dir, 'table.bin');
// As large as the app that the table was planned for; and small enough for several side by side.
const old = await bench.image('1.0.0', { size: 1535 * 1024 }), fresh = await bench.image('2.0.0', { size: 1535 * 1024 });
const small = await bench.image('3.0.0', { size: 64000 });
const loader = process.env.OTTER_BOOTLOADER || await bench.image('0.0.0', { project: 'loader', size: 16000 });

// ---- otadata, byte by byte (docs/SPEC.md, section 3)

const NEW = 0, PENDING = 1, VALID = 2, INVALID = 3, ABORTED = 4, UNDEFINED = 0xffffffff, BLANK = Buffer.alloc(32, 0xff);

// zlib's CRC-32 begun with 0xFFFFFFFF, which its first step turns into 0.
function crc_of(seq) {
    let crc = seq;
    for (let bit = 0; bit < 32; bit++) crc = (crc & 1 ? 0xedb88320 : 0) ^ (crc >>> 1);
    return ~crc >>> 0;
}

function entry(seq, state, crc = crc_of(seq)) {
    const raw = Buffer.from(BLANK);
    raw.writeUInt32LE(seq, 0);
    raw.writeUInt32LE(state, 24);
    raw.writeUInt32LE(crc, 28);
    return raw;
}

const torn = (seq, state) => entry(seq, state, 0xffffffff), wrong = (seq, state) => entry(seq, state, crc_of(seq + 1));

// ---- what lies in a slot

const whole = file => ({ file });
// The magic byte is no more: given up, or in the way of data.
const killed = file => ({ file: changed(file, b => { b[0] = 0; }), broken: true });
const damaged = file => ({ file: changed(file, b => { b[40000] ^= 1; }), broken: true });
// All but the header, which comes last; of an update that was cut: the first part.
const headless = (file, bytes) => ({ file: bench.file(fs.readFileSync(file).subarray(HEAD, bytes)), from: HEAD });

function changed(file, change) {
    const bytes = fs.readFileSync(file);
    change(bytes);
    return bench.file(bytes);
}

// ---- the recipes
// slots: what lies where; otadata: both entries; starts: the slot, `at` its offset; writes: [sector of otadata, entry];
// next: the slot that a second start takes, if it is another one.

const recipes = {
    'fresh from the factory': {
        slots: { ota_0: whole(old) }, otadata: [BLANK, BLANK],
        starts: 'ota_0', at: 0x10000, writes: [[0, entry(1, VALID)]] },
    'blank otadata, the image in a high slot: search': {
        slots: { ota_9: whole(fresh) }, otadata: [BLANK, BLANK],
        starts: 'ota_9', at: 0x280000, writes: [[0, entry(10, VALID)]] },
    'receiving: the header is not there yet': {
        slots: { ota_0: whole(old), ota_9: headless(fresh, 700000) }, otadata: [entry(1, VALID), BLANK],
        starts: 'ota_0', at: 0x10000, writes: [] },
    'received but for the header': {
        slots: { ota_0: whole(old), ota_9: headless(fresh) }, otadata: [entry(1, VALID), BLANK],
        starts: 'ota_0', at: 0x10000, writes: [] },
    'header written, not switched': {
        slots: { ota_0: whole(old), ota_9: whole(fresh) }, otadata: [entry(1, VALID), BLANK],
        starts: 'ota_0', at: 0x10000, writes: [] },
    'the entry is torn before its CRC': {
        slots: { ota_0: whole(old), ota_9: whole(fresh) }, otadata: [entry(1, VALID), torn(10, NEW)],
        starts: 'ota_0', at: 0x10000, writes: [] },
    'switched: the first start puts it on trial, the second goes back': {
        slots: { ota_0: whole(old), ota_9: whole(fresh) }, otadata: [entry(1, VALID), entry(10, NEW)],
        starts: 'ota_9', at: 0x280000, writes: [[1, entry(10, PENDING)]], next: 'ota_0' },
    'on trial, not confirmed': {
        slots: { ota_0: whole(old), ota_9: whole(fresh) }, otadata: [entry(1, VALID), entry(10, PENDING)],
        starts: 'ota_0', at: 0x10000, writes: [[1, entry(10, ABORTED)]] },
    'on trial, its entry torn: aborted all the same': {
        slots: { ota_0: whole(old), ota_9: whole(fresh) }, otadata: [entry(1, VALID), torn(10, PENDING)],
        starts: 'ota_0', at: 0x10000, writes: [[1, torn(10, ABORTED)]] },
    'confirmed, the old one still whole': {
        slots: { ota_0: whole(old), ota_9: whole(fresh) }, otadata: [entry(1, VALID), entry(10, VALID)],
        starts: 'ota_9', at: 0x280000, writes: [] },
    'settled high: the old one is killed': {
        slots: { ota_0: killed(old), ota_9: whole(fresh) }, otadata: [entry(1, VALID), entry(10, VALID)],
        starts: 'ota_9', at: 0x280000, writes: [] },
    'settled at the bottom, the older entry names a killed slot': {
        slots: { ota_0: whole(old), ota_9: killed(fresh) }, otadata: [entry(17, VALID), entry(10, VALID)],
        starts: 'ota_0', at: 0x10000, writes: [] },
    'rolled back': {
        slots: { ota_0: whole(old), ota_9: whole(fresh) }, otadata: [entry(1, VALID), entry(10, INVALID)],
        starts: 'ota_0', at: 0x10000, writes: [] },
    'aborted, and killed': {
        slots: { ota_0: whole(old), ota_9: killed(fresh) }, otadata: [entry(1, VALID), entry(10, ABORTED)],
        starts: 'ota_0', at: 0x10000, writes: [] },
    'both CRCs wrong, one image: search': {
        slots: { ota_9: whole(fresh) }, otadata: [wrong(1, VALID), wrong(10, VALID)],
        starts: 'ota_9', at: 0x280000, writes: [] },
    'both CRCs wrong, two images: the lower one': {
        slots: { ota_0: whole(old), ota_9: whole(fresh) }, otadata: [wrong(1, VALID), wrong(10, VALID)],
        starts: 'ota_0', at: 0x10000, writes: [] },
    'the image on trial is damaged: it counts as started, and the bottom starts': {
        slots: { ota_0: whole(old), ota_9: damaged(fresh) }, otadata: [entry(1, VALID), entry(10, NEW)],
        starts: 'ota_0', at: 0x10000, writes: [[1, entry(10, PENDING)]] },
    'damaged: downwards, the next one first': {
        slots: { ota_0: whole(small), ota_2: whole(small), ota_9: damaged(small), ota_12: whole(small) },
        otadata: [entry(1, VALID), entry(10, VALID)],
        starts: 'ota_2', at: 0x210000, writes: [] },
    'damaged, nothing below: upwards': {
        slots: { ota_5: damaged(small), ota_9: killed(small), ota_12: whole(small), ota_15: whole(small) },
        otadata: [entry(1, VALID), entry(6, VALID)],
        starts: 'ota_12', at: 0x2b0000, writes: [] },
    'number 9 on trial: slot 8': {
        slots: { ota_0: whole(old), ota_8: whole(fresh) }, otadata: [entry(1, VALID), entry(9, NEW)],
        starts: 'ota_8', at: 0x270000, writes: [[1, entry(9, PENDING)]], next: 'ota_0' },
    'number 17 on trial: slot 0 again': {
        slots: { ota_0: whole(old), ota_9: whole(fresh) }, otadata: [entry(17, NEW), entry(10, VALID)],
        starts: 'ota_0', at: 0x10000, writes: [[0, entry(17, PENDING)]], next: 'ota_9' },
    'number 0 with a blank CRC counts as whole: the last slot': {
        slots: { ota_0: whole(small), ota_15: whole(small) }, otadata: [BLANK, entry(0, UNDEFINED, 0xffffffff)],
        starts: 'ota_15', at: 0x2e0000, writes: [] },
    'number 0 with the CRC 0 does not': {
        slots: { ota_0: whole(small), ota_15: whole(small) }, otadata: [BLANK, entry(0, UNDEFINED, 0)],
        starts: 'ota_0', at: 0x10000, writes: [] },
};

test("SPEC's entry", () => {
    const raw = '02000000ffffffffffffffffffffffffffffffffffffffff020000007437f655';
    assert.equal(entry(2, VALID).toString('hex'), raw);
});

// ---- building and starting

const part = ([label, { file, from }]) => ['--part', `${from ? SLOT[label] + from : label}=${file}`];

function otadata_file([first, second]) {
    const bytes = Buffer.alloc(2 * SECTOR, 0xff);
    first.copy(bytes, 0);
    second.copy(bytes, SECTOR);
    return bench.file(bytes);
}

const build_args = (recipe, more) => ['flash', 'build', ...FLASH, '--table', table, '--overlapping-slots', '--json',
    '--part', 'otadata=' + otadata_file(recipe.otadata), ...Object.entries(recipe.slots).flatMap(part), ...more];

async function build(recipe, out) {
    const broken = Object.values(recipe.slots).some(s => s.broken) ? ['--broken-images'] : [];
    const r = await otter(build_args(recipe, ['--bootloader', loader, '-o', out, ...broken]));
    assert.equal(r.code, 0, r.err);
    const { warnings } = JSON.parse(r.out), wanted = Object.entries(recipe.slots).filter(([, s]) => s.broken);
    assert.equal(warnings.length, wanted.length);
    for (const [i, [label]] of wanted.entries()) assert.match(warnings[i], new RegExp(`not start it from partition ${label}:`));
}

async function boot(file) {
    const r = await otter(['flash', 'boot', file, '--rollback', '--chip', 'esp32c3', '--json']);
    assert.equal(r.code, 0, r.err);
    return JSON.parse(r.out);
}

function apply(file, writes) {
    const bytes = fs.readFileSync(file);
    for (const w of writes)
        if (w.op === 'erase') bytes.fill(0xff, w.offset, w.offset + w.size);
        else Buffer.from(w.data, 'hex').copy(bytes, w.offset);
    fs.writeFileSync(file, bytes);
}

function keep(file, name, recipe) {
    const dir = process.env.OTTER_KEEP, base = name.replace(/[^a-z0-9]+/gi, '-');
    if (!dir) return;
    fs.mkdirSync(dir, { recursive: true });
    fs.copyFileSync(file, path.join(dir, base + '.bin'));
    const writes = recipe.writes.map(([sector, raw]) => ({ offset: OTADATA + sector * SECTOR, data: raw.toString('hex') }));
    fs.writeFileSync(path.join(dir, base + '.json'), JSON.stringify({ name, slot: recipe.starts, offset: recipe.at, writes }) + '\n');
}

before(async () => {
    const r = await otter(['table', 'plan', '--flash', '4MB', '--app', '1.5MB', '-o', table, '--json']);
    assert.equal(r.code, 0, r.err);
    const { slots } = JSON.parse(r.out);
    assert.equal(slots.length, 16);
    for (const [label, offset] of Object.entries(SLOT)) assert.equal(slots.find(s => s.name === label).offset, offset);
});

describe('which offset the boot loader starts', { concurrency: 2 }, () => {
    for (const [name, recipe] of Object.entries(recipes))
        test(name, async () => {
            const file = bench.file('');
            await build(recipe, file);
            keep(file, name, recipe);
            const first = await boot(file);
            assert.deepEqual([first.slot, first.offset], [recipe.starts, recipe.at]);
            const wanted = recipe.writes.flatMap(([sector, raw]) => [['erase', OTADATA + sector * SECTOR, SECTOR],
                ['write', OTADATA + sector * SECTOR, raw.toString('hex')]]);
            assert.deepEqual(first.otadata_writes.map(w => [w.op, w.offset, w.data ?? w.size]), wanted);
            apply(file, first.otadata_writes);
            const second = await boot(file), next = recipe.next ?? recipe.starts;
            assert.deepEqual([second.slot, second.offset], [next, SLOT[next]]);
            fs.rmSync(file);
        });
    test('all of them', () => assert.equal(Object.keys(recipes).length, 23));
});

// ---- what flash build wants for it

test('an image that would not start is refused, unless it is asked for', async () => {
    const out = path.join(bench.dir, 'refused.bin'), recipe = { slots: { ota_9: damaged(fresh) }, otadata: [BLANK, BLANK] };
    const refused = await otter(build_args(recipe, ['-o', out]));
    assert.deepEqual([refused.code, refused.out, fs.existsSync(out)], [3, '', false]);
    assert.match(refused.err, /would not start it from partition ota_9: .*checksum is wrong/);
    const taken = await otter(build_args(recipe, ['-o', out, '--broken-images']).filter(a => a !== '--json'));
    assert.equal(taken.code, 0);
    assert.match(taken.err, /^otter: warning: there is no boot loader at 0x0,.*\notter: warning: .*from partition ota_9: /);
    assert.equal((await otter(['flash', 'boot', out, '--rollback'])).code, 5);
});

test('a broken boot loader is refused all the same', async () => {
    const out = path.join(bench.dir, 'refused.bin'), recipe = { slots: { ota_0: whole(old) }, otadata: [BLANK, BLANK] };
    const broken = changed(loader, b => { b[300] ^= 1; });
    assert.equal((await otter(build_args(recipe, ['-o', out, '--bootloader', broken, '--broken-images']))).code, 3);
});

test('images that reach into one another are refused', async () => {
    const out = path.join(bench.dir, 'refused.bin');
    const recipe = { slots: { ota_9: whole(fresh), ota_15: whole(small) }, otadata: [BLANK, BLANK] };
    const r = await otter(build_args(recipe, ['-o', out, '--broken-images']));
    assert.equal(r.code, 4);
    assert.match(r.err, /overlap; place one of them elsewhere/);
});
