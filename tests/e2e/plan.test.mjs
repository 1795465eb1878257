// otter table plan from outside: what it prints, the files it writes, that they agree, and what it refuses.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OTTER = process.env.OTTER || path.join(ROOT, 'build/otter');
const DIR = fs.mkdtempSync(path.join(os.tmpdir(), 'otter-plan-'));
const KIB = 1024, BLOCK = 64 * KIB;
after(() => fs.rmSync(DIR, { recursive: true }));

const at = name => path.join(DIR, name);

function otter(args, { status = 0, input } = {}) {
    const r = spawnSync(OTTER, args.map(String), { input });
    const err = r.stderr.toString();
    assert.equal(r.status, status, `otter ${args.join(' ')}\n${err}`);
    if (status) assert.match(err, /^otter: ./m);
    if (status) assert.equal(r.stdout.length, 0, 'it fails, and yet prints something');
    return { out: r.stdout, text: r.stdout.toString(), err, json: () => JSON.parse(r.stdout) };
}

const plan = (args, options) => otter(['table', 'plan', ...args], options);
const usual = ['--flash', '4MB', '--app', '1.5MB'];

test('the printed CSV is the binary table, byte for byte, and the boot loader takes it', () => {
    for (const args of [usual, ['--flash', '2M', '--app', '700K', '--nvs', '0x6000'], ['--flash', '16MB', '--app', '3MB', '--grow', '100%'],
        ['--flash', '8MB', '--app', '2000001', '--grow', '128K', '--shrink', '0', '--min-data', '1MB']]) {
        const { text, err } = plan([...args, '-o', at('t.bin')]);
        assert.equal(err, '');
        const bytes = fs.readFileSync(at('t.bin'));
        assert.equal(bytes.length, 0xc00);
        assert.ok(otter(['table', 'build', '-', '-o', '-', '--overlapping-slots'], { input: text }).out.equals(bytes));
        otter(['table', 'build', '-', '-o', '-'], { input: text, status: 3 }); // overlap is asked for by name
        otter(['table', 'verify', at('t.bin'), '--flash-size', args[1], '--overlapping-slots', '--strict']);
        assert.equal(otter(['table', 'verify', at('t.bin'), '--flash-size', args[1], '--overlapping-slots']).err, '');
    }
});

test('the CSV says what a slot is for, and how it was made', () => {
    const { text } = plan(usual);
    assert.match(text, /^# ota_9 +1536 KiB +2496 KiB +the planned app$/m);
    assert.match(text, /^# ota_1 +2496 KiB +1536 KiB +the largest that may follow it$/m);
    assert.match(text, /^# data +2496 KiB, 960 KiB while one of its size replaces it$/m);
    assert.doesNotMatch(text, /unused/);
    const again = text.match(/^#   otter (table plan .*)$/m)[1].split(' ');
    assert.equal(otter(again).text, text);
    assert.match(plan([...usual, '--nvs', '20K']).text, /^# unused +0x11000 to 0x20000, which a larger nvs may have$/m);
});

test('JSON: the same table, and what every size leaves', () => {
    const j = plan([...usual, '--json', '-o', at('j.bin'), '--csv', at('j.csv')]).json();
    assert.equal(fs.readFileSync(at('j.csv'), 'utf8'), plan(usual).text);
    const { partitions } = otter(['table', 'dump', at('j.bin'), '--overlapping-slots', '--json']).json();
    assert.deepEqual(partitions.slice(3).map(p => [p.name, p.offset, p.size]), j.slots.map(s => [s.name, s.offset, s.size]));
    assert.deepEqual(partitions.slice(0, 3).map(p => p.name), ['nvs', 'otadata', 'phy_init']);
    const { pool } = j;
    assert.deepEqual(pool, { offset: 0x10000, size: 63 * BLOCK });
    assert.deepEqual([j.flash_size, j.app, j.nvs, j.min_data], [4 << 20, 1.5 * (1 << 20), 0x4000, 0]);
    assert.ok(j.data_settled >= 2.3 * (1 << 20));
    assert.deepEqual([j.data_settled, j.data_pending, j.largest_next, j.loss, j.worst_loss],
        [2496 * KIB, 960 * KIB, 2496 * KIB, 0, 0]);
    assert.deepEqual(j.range, { smallest: 18 * BLOCK, largest: 31 * BLOCK });
    assert.deepEqual(j.sizes.map(s => s.size), Array.from({ length: 14 }, (_, i) => (18 + i) * BLOCK));
    for (const s of j.sizes) {
        const slot = j.slots.filter(t => t.largest_image >= s.size).at(-1);
        assert.equal(s.high_slot, slot.name);
        assert.equal(s.data_settled, slot.offset - pool.offset);
        assert.equal(s.loss, pool.size - s.size - s.data_settled);
        assert.equal(s.data_pending, slot.offset - pool.offset - s.size);
    }
    assert.deepEqual(j.beside, { two_slots: { slot: 31 * BLOCK, data: BLOCK },
        rescue_app: { slot: 31 * BLOCK, data: (63 - 31 - 8) * BLOCK } });
});

test('a long range: 128 KiB at most by default, more where that is asked for', () => {
    for (const flash of ['2MB', '4MB', '8MB', '16MB'])
        for (const app of ['300K', '0.75MB', '900001', '2MB', '3.5MB', '6MB']) {
            if (parseFloat(flash) <= 2 * parseFloat(app) && app.includes('MB')) continue;
            assert.ok(plan(['--flash', flash, '--app', app, '--json']).json().worst_loss <= 128 * KIB, `${app} on ${flash}`);
            const far = plan(['--flash', flash, '--app', app, '--grow', '1920K', '--json']).json();
            assert.ok(far.loss === 0 && far.worst_loss <= 128 * KIB, `${app} on ${flash}, growing`);
        }
    const j = plan(['--flash', '16MB', '--app', '4MB', '--grow', '90%', '--shrink', '90%', '--json']).json();
    assert.ok(j.worst_loss > 128 * KIB);
    assert.equal(j.loss, 0);
    assert.deepEqual(j.range, { smallest: 7 * BLOCK, largest: 122 * BLOCK });
});

test('the chart: settled, pending, beside fixed slots and a rescue app', () => {
    const lines = plan([...usual, '--chart', '-o', at('c.bin')]).text.split('\n');
    const row = kib => lines.find(l => l.startsWith(`   ${kib} `));
    assert.match(row(1536), /^ +1536 +\|#{11}-{18} {19}\| +2496 +960 +planned app$/);
    assert.match(row(1984), /\|-{24} {24}\| +2048 +64$/);
    assert.match(lines[lines.findIndex(l => l.includes('two fixed slots of 1984 KiB')) + 1], /\| +64 +64$/);
    assert.match(lines[lines.findIndex(l => l.includes('rescue app of 512 KiB')) + 1], /\| +1536 +1536$/);
    assert.ok(fs.existsSync(at('c.bin')));
    const long = plan(['--flash', '16MB', '--app', '5MB', '--shrink', '5MB', '--chart']).text.split('\n');
    assert.ok(long.length < 50);
    assert.ok(long.some(l => /^ +5120 .*planned app$/.test(l)));
});

// Every element is closed, and nothing in it is another language's or lies elsewhere.
function checkXml(text) {
    const open = [], plain = text.replace(/<style>[^<]*<\/style>/, '');
    let tags = 0;
    for (const [, closing, name, attributes, self] of plain.matchAll(/<(\/?)([a-z]+)((?: [a-zA-Z:-]+="[^"<]*")*)(\/?)>/g)) {
        if (closing) assert.equal(open.pop(), name);
        else if (!self) open.push(name);
        assert.ok(!closing || !attributes);
        tags++;
    }
    assert.deepEqual(open, []);
    assert.equal(tags, plain.split('<').length - 1);
    assert.doesNotMatch(text.replace(/<[^<>]*>/g, ''), /[<>&]/);
    assert.doesNotMatch(text.replace('http://www.w3.org/2000/svg', ''), /script|href|https?:|url\(|nan|inf/i);
}

test('the SVG: whole, by itself, for light and dark, with words', () => {
    assert.equal(plan([...usual, '--svg', at('p.svg'), '--json']).err, '');
    const svg = fs.readFileSync(at('p.svg'), 'utf8');
    checkXml(svg);
    assert.match(svg, /^<svg xmlns="http:\/\/www.w3.org\/2000\/svg" viewBox="0 0 \d+ \d+" role="img"/);
    assert.match(svg, /prefers-color-scheme: dark/);
    for (const words of ['planned app, 1572864 bytes', 'elastic, with the planned app: 2496 KiB', 'one of its size: 960 KiB',
        'two fixed slots of 1984 KiB: 64 KiB', 'rescue app of 512 KiB and one slot of 1984 KiB, no way back: 1536 KiB'])
        assert.ok(svg.includes(words), words);
    // settled data falls with the size: 14 steps, each lower on the page
    const heights = [...svg.match(/line settled" d="(M[\d.]+ [^"]{50,})"/)[1].matchAll(/(?:M[\d.]+ |V)([\d.]+)H/g)].map(m => +m[1]);
    assert.equal(heights.length, 14);
    for (let i = 1; i < heights.length; i++) assert.ok(heights[i] > heights[i - 1]);
    assert.equal(plan([...usual, '--svg', '-']).text, svg);
    // one size alone; an app that has no like beside it
    checkXml(plan(['--flash', '4MB', '--app', '1MB', '--grow', '0', '--shrink', '0', '--svg', '-']).text);
    const large = plan(['--flash', '4MB', '--app', '2.5MB', '--svg', '-']).text;
    checkXml(large);
    assert.match(large, /two fixed slots of 2560 KiB: does not fit/);
});

test('the picture in the documents is what is drawn', () => {
    assert.equal(fs.readFileSync(path.join(ROOT, 'docs/plan.svg'), 'utf8'), plan([...usual, '--svg', '-']).text);
});

test('standard output has one thing', () => {
    const bin = plan([...usual, '-o', '-']).out;
    assert.equal(bin.length, 0xc00);
    assert.match(plan([...usual, '--csv', '-', '-o', at('o.bin')]).text, /^# .*\n(?:.*\n)*ota_15,app,/);
    assert.ok(fs.readFileSync(at('o.bin')).equals(bin));
    assert.equal(plan([...usual, '--csv', at('o.csv')]).text, '');
    for (const two of [['--json', '--chart'], ['-o', '-', '--json'], ['--csv', '-', '--svg', '-'], ['-o', '-', '--csv', '-']])
        assert.match(plan([...usual, ...two], { status: 2 }).err, /standard output takes one/);
});

test('an app larger than half the pool: a warning with the largest next image', () => {
    const { err, out } = plan(['--flash', '4MB', '--app', '2.5MB', '--json']);
    assert.match(err, /warning: an app of 2621440 bytes takes more than half of the pool of 4032 KiB.*next has 1472 KiB/);
    const j = JSON.parse(out);
    assert.equal(j.data_pending, null);
    assert.equal(j.largest_next, 1472 * KIB);
    assert.equal(j.beside.two_slots.data, null);
    assert.match(plan(['--flash', '4MB', '--app', '2.5MB']).text, /one of its size cannot replace it/);
});

test('to grow beyond what can be followed: a warning, if it was asked for', () => {
    assert.match(plan([...usual, '--grow', '1MB']).err, /warning: .* images up to 1984 KiB only/);
    assert.equal(plan([...usual, '--grow', '448K']).err, '');
    assert.equal(plan(usual).err, '');
});

test('--min-data: kept or refused, with the numbers', () => {
    assert.equal(plan([...usual, '--min-data', '960K', '--json']).json().data_pending, 960 * KIB);
    const { err } = plan([...usual, '--min-data', '983041'], { status: 4 });
    assert.match(err, /two images of 1536 KiB and 983041 bytes of data do not fit into the pool of 4032 KiB/);
    assert.match(err, /lower --min-data to 960 KiB, or take a larger flash/);
    assert.match(plan(['--flash', '4MB', '--app', '2.5MB', '--min-data', '1K'], { status: 4 }).err, /make the app smaller/);
    const j = plan([...usual, '--min-data', '512K', '--json']).json();
    assert.equal(j.largest_next, (63 - 24 - 8) * BLOCK);
    for (const s of j.sizes) assert.ok(s.data_pending >= 512 * KIB);
});

test('what is wrong is named, with the remedy', () => {
    const refused = (args, words, status = 2) => {
        fs.rmSync(at('no.bin'), { force: true });
        assert.match(plan([...args, '-o', at('no.bin')], { status }).err, words);
        assert.ok(!fs.existsSync(at('no.bin')));
    };
    refused([], /how large the flash is: --flash 4MB/);
    refused(['--flash', '4MB'], /how large the app is: --app 1\.5MB/);
    refused(['--flash', '3MB', '--app', '1MB'], /--flash: 3145728 bytes.*2MB, 4MB, 8MB or 16MB/);
    refused(['--flash', '32MB', '--app', '1MB'], /--flash/);
    refused(['--flash', '4MB', '--app', '0'], /--app/);
    for (const size of ['big', '', '1.MB', '.5MB', '1.5.5MB', '1.5XB', '-1', '1e3', '0x1.8MB', '99999MB', '9999.5MB'])
        refused(['--flash', '4MB', '--app', size], /--app: ".*" is no size; write it like 1\.5MB/);
    refused(['--flash', '4MB', '--app', '1.3'], /--app: "1\.3" is no whole number of bytes/);
    refused([...usual, '--grow', '5%%'], /--grow/);
    refused([...usual, '--shrink', '%'], /--shrink/);
    refused([...usual, '--grow', '10001%'], /--grow: "10001%" is more than 10000%/);
    refused([...usual, '--grow', '99999999999999999999%'], /--grow/);
    refused([...usual, '--nvs', '8K'], /--nvs: 0x2000 bytes; it needs 0x3000 at least/);
    refused([...usual, '--nvs', '0x4100'], /in steps of 0x1000/);
    refused([...usual, '--nvs', '4MB'], /lower --nvs/, 4);
    refused(['--flash', '4MB', '--app', '4000K'], /an app of 4096000 bytes could never be updated.*4032 KiB/, 4);
    refused([...usual, 'table.csv'], /it takes no file: "table\.csv"/);
    assert.match(plan([...usual, '--csv', at('none/t.csv')], { status: 2 }).err, /none\/t\.csv/);
    plan([...usual, '--what'], { status: 2 });
});

test('sizes may have decimals', () => {
    const app = text => plan(['--flash', '4MB', '--app', text, '--json']).json().app;
    assert.deepEqual(['1.5MB', '1.5M', '1536K', '1536.0KB', '1572864', '0x180000'].map(app), Array(6).fill(1572864));
    assert.equal(plan([...usual, '--grow', '25%', '--json']).json().range.largest, 30 * BLOCK);
    assert.equal(plan([...usual, '--grow', '0.25MB', '--json']).json().range.largest, 28 * BLOCK);
});

test('help', () => {
    const { text, err } = plan(['--help']);
    assert.equal(err, '');
    for (const option of ['flash', 'app', 'grow', 'shrink', 'min-data', 'nvs', 'csv', 'svg', 'chart', 'json'])
        assert.match(text, new RegExp(`^  --${option} `, 'm'));
    assert.match(otter(['table', '--help']).text, /^  plan +\w/m);
});
