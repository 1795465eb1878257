// otter table and otter flash from outside: options, pipes, exit statuses, and flashes that a chip would not start from.
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OTTER = process.env.OTTER || path.join(ROOT, 'build/otter');
const VECTORS = path.join(ROOT, 'tests/vectors/partition_table');
const DIR = fs.mkdtempSync(path.join(os.tmpdir(), 'otter-table-'));
const { csv_cases, binary_cases } = JSON.parse(fs.readFileSync(path.join(VECTORS, 'cases.json'), 'utf8'));
after(() => fs.rmSync(DIR, { recursive: true }));

const at = name => path.join(DIR, name);
const vector = name => path.join(VECTORS, name);

function file(name, bytes) {
    fs.writeFileSync(at(name), bytes);
    return at(name);
}

function otter(args, { status = 0, input, env } = {}) {
    const r = spawnSync(OTTER, args.map(String), { input, env: { ...process.env, ...env }, maxBuffer: 1 << 28 });
    const err = r.stderr.toString();
    assert.equal(r.status, status, `otter ${args.join(' ')}\n${err}`);
    if (status && status !== 2) assert.match(err + r.stdout, /./, 'it fails without a word');
    return { out: r.stdout, text: r.stdout.toString(), err, json: () => JSON.parse(r.stdout) };
}

const build = (csv, args = [], options) => otter(['table', 'build', '-', '-o', '-', ...args], { input: csv, ...options });

describe('table build and dump', () => {
    test('every CSV file of the vectors, with its arguments and environment', () => {
        for (const c of csv_cases) {
            const args = ['table', 'build', vector(c.csv), '-o', at('t.bin'), ...c.args];
            fs.rmSync(at('t.bin'), { force: true });
            otter(args, { env: c.env, status: c.exit ? 3 : 0 });
            if (c.exit) assert.ok(!fs.existsSync(at('t.bin')), `${c.name}: a table was written`);
            else assert.ok(fs.readFileSync(at('t.bin')).equals(fs.readFileSync(vector(c.bin))), `${c.name}: other bytes`);
        }
    });

    test('the line and the remedy are named', () => {
        const { err } = build('# t\nnvs,data,nvs,,24K\nbad,data,myk,,4K\n', [], { status: 3 });
        assert.match(err, /standard input, line 3: "myk"/);
        assert.match(err, /units/);
        assert.match(build('a,app,factory,0x11000,1M\n', [], { status: 3 }).err, /line 1: a starts at 0x11000.*0x10000/);
        // all that is wrong at once
        const all = build('a,data,nvs,,8K\na,app,ota_0,0x10000,0x100800\n', [], { status: 3 }).err;
        assert.match(all, /0x3000/);
        assert.match(all, /multiple of 0x1000/);
        assert.match(all, /line 1 has that name/);
    });

    test('presets', () => {
        const help = otter(['table', 'build', '--help']).text;
        for (const name of ['singleapp', 'singleapp_large', 'two_ota', 'two_ota_large', 'two_ota_usr']) {
            const { out } = otter(['table', 'build', '--preset', name, '-o', '-']);
            assert.equal(out.length, 0xc00);
            assert.match(help, new RegExp(`^  ${name} `, 'm'));
            const c = csv_cases.find(v => v.name === 'default_' + name);
            if (c) assert.ok(out.equals(fs.readFileSync(vector(c.bin))), name);
        }
        assert.match(otter(['table', 'build', '--preset', 'three_ota', '-o', '-'], { status: 2 }).err, /two_ota_usr/);
        otter(['table', 'build', '--preset', 'two_ota', '--flash-size', '2MB', '-o', '-'], { status: 3 });
        otter(['table', 'build', '--preset', 'two_ota', '--offset', '0x9000', '-o', '-'], { status: 3 });
    });

    test('dump: CSV, JSON, files and pipes', () => {
        const { out } = otter(['table', 'build', '--preset', 'two_ota', '-o', '-']);
        const csv = otter(['table', 'dump', '-'], { input: out }).text;
        assert.equal(csv, fs.readFileSync(vector('csv_out/default_two_ota_flash4.csv'), 'utf8'));
        otter(['table', 'dump', file('two.bin', out), '-o', at('two.csv')]);
        assert.equal(fs.readFileSync(at('two.csv'), 'utf8'), csv);
        const { partitions } = otter(['table', 'dump', at('two.bin'), '--json']).json();
        assert.deepEqual(partitions[4], { name: 'ota_0', type: 'app', subtype: 'ota_0', type_number: 0, subtype_number: 16,
            offset: 0x110000, size: 0x100000, encrypted: false, readonly: false });
        otter(['table', 'dump', at('two.csv')], { status: 3 });
    });

    test('binary tables of the vectors are dumped or refused as by the generator', () => {
        for (const c of binary_cases) {
            if (c.name === 'md5_only') continue; // an empty table, on which the generator trips
            const { text } = otter(['table', 'dump', vector(c.bin)], { status: c.tool.exit ? 3 : 0 });
            if (c.tool.csv) assert.equal(text, c.tool.csv, c.name);
            const plain = c.tool_disable_md5sum;
            otter(['table', 'dump', vector(c.bin), '--disable-md5sum'], { status: plain.exit ? 3 : 0 });
        }
    });

    test('extra subtypes read and written', () => {
        const extra = ['--extra-partition-subtypes', 'data, mine, 0x86', '--extra-partition-subtypes', 'app,extra,40'];
        const { out } = build('a,data,mine,,4K\nb,app,EXTRA,,64K\n', extra);
        assert.match(otter(['table', 'dump', '-', ...extra], { input: out }).text, /a,data,mine,.*\nb,app,extra,/);
        assert.match(otter(['table', 'dump', '-'], { input: out }).text, /a,data,134,.*\nb,app,64,/);
        build('', ['--extra-partition-subtypes', 'data, two, 2'], { status: 2 });
    });

    test('overlapping slots: on request, and only slots', () => {
        const pool = 'otadata,data,ota,0x9000,8K\nota_0,app,ota_0,0x10000,-4M\nota_1,app,ota_1,2M,-4M\n';
        build(pool, [], { status: 3 });
        const { out } = build(pool, ['--overlapping-slots', '--flash-size', '4MB']);
        otter(['table', 'dump', '-'], { input: out, status: 3 });
        otter(['table', 'dump', '-', '--no-verify'], { input: out });
        const csv = otter(['table', 'dump', '-', '--overlapping-slots'], { input: out }).text;
        assert.ok(build(csv, ['--overlapping-slots']).out.equals(out));
        build(pool + 'fs,data,fat,3M,1M\n', ['--overlapping-slots'], { status: 3 });
    });

    test('--no-verify leaves the size of the flash judged', () => {
        build('a,app,factory,0x11000,1M\n', ['--no-verify']);
        build('a,app,factory,0x11000,1M\n', ['--no-verify', '--flash-size', '1MB'], { status: 3 });
    });

    test('wrong command lines', () => {
        for (const args of [[], ['build'], ['build', '-o', 'x'], ['build', 'a', 'b', '-o', 'x'], ['build', 'a.csv'],
            ['build', '-', '-o', '-', '--secure=v3'], ['build', '-', '-o', '-', '--offset', '0x8001'],
            ['build', '-', '-o', '-', '--flash-size', 'big'], ['dump'], ['verify', 'x'], ['build', at('none'), '-o', '-'],
            ['build', '-', '--preset', 'two_ota', '-o', '-'], ['what']])
            otter(['table', ...args], { status: 2, input: '' });
    });
});

describe('table verify', () => {
    const verify = (name, args = [], status = 0) => otter(['table', 'verify', vector(name), '--flash-size', '16MB', ...args], { status });

    test('the exit status is the boot loader\'s verdict', () => {
        for (const c of binary_cases) {
            const bl = c.bootloader_verify_16MB.differs?.['v6.0.2'] || c.bootloader_verify_16MB;
            const good = bl.err === '0x0', json = verify(c.bin, ['--json'], good ? 0 : 3).json();
            assert.equal(json.valid, good, c.name);
            if (good) assert.equal(json.partitions, bl.num_partitions, c.name);
            if (good && c.name !== 'md5_only' && c.name !== 'label_bad_utf8')
                assert.equal(json.generator_accepts, c.tool.exit === 0, c.name);
        }
    });

    test('what the generator would refuse is a warning, with --strict an error', () => {
        const overlap = 'bin_in/overlap.bin';
        assert.match(verify(overlap).err, /warning: b .*overlaps a/);
        verify(overlap, ['--strict'], 3);
        verify('bin_in/end_marker_short.bin', ['--strict'], 3);
        assert.equal(verify('bin/default_two_ota_flash4.bin', ['--strict']).err, '');
        assert.match(verify('bin/name_is_type_warning.bin', ['--strict']).err, /is this intended/);
        assert.equal(verify('bin_in/bad_md5.bin', ['--json'], 3).json().error, 'table_bad_md5');
    });
});

// ---- flashes

function image(chip, version = '1.0.0', size = 12000) {
    const to = at(`${chip}-${version}-${size}.bin`);
    if (!fs.existsSync(to))
        otter(['image', 'synth', '--chip', chip, '--version', version, '--project', 'demo', '--size', size, '-o', to]);
    return to;
}

function patched(from, name, offset, value) {
    const bytes = fs.readFileSync(from);
    bytes[offset] = value(bytes[offset]);
    return file(name, bytes);
}

const S3 = ['flash', 'build', '--chip', 'esp32s3', '--flash-size', '4MB'];
const FLASH = at('flash.bin');
const flash = (args, options) => otter([...S3, '-o', FLASH, ...args], options);
const info = () => otter(['flash', 'info', FLASH, '--json']).json();

describe('flash build', () => {
    test('table, boot loader, app and data at their places', () => {
        const data = file('data.bin', 'hello');
        const parts = flash(['--table', 'two_ota_usr', '--bootloader', image('esp32s3'), '--app', image('esp32s3', '2.0.0'),
            '--part', 'usr=' + data, '--part', '0xf000=' + data, '--json']).json();
        assert.equal(parts.warnings.length, 0);
        const bytes = fs.readFileSync(FLASH), app = fs.readFileSync(image('esp32s3', '2.0.0'));
        assert.equal(bytes.length, 4 << 20);
        assert.ok(bytes.subarray(0x10000, 0x10000 + app.length).equals(app));
        assert.equal(bytes.toString('latin1', 0x3b0000, 0x3b0006), 'hello\xff');
        assert.equal(bytes.toString('latin1', 0xf000, 0xf006), 'hello\xff');
        assert.deepEqual([...bytes.subarray(0x9000, 0xf000)].filter(b => b !== 0xff), []);
        assert.equal(otter(['flash', 'boot', FLASH, '--json']).json().slot, 'app0');
    });

    test('the table as CSV, as binary and from a part', () => {
        const table = file('t.bin', otter(['table', 'build', '--preset', 'two_ota', '-o', '-']).out);
        const csv = file('t.csv', otter(['table', 'dump', table]).out), app = image('esp32s3');
        flash(['--table', csv, '--app', app]);
        const one = fs.readFileSync(FLASH);
        flash(['--table', table, '--app', app]);
        assert.ok(one.equals(fs.readFileSync(FLASH)));
        flash(['--part', '0x8000=' + table, '--part', '0x10000=' + app]);
        assert.ok(one.equals(fs.readFileSync(FLASH)));
        assert.equal(info().boots, 'factory');
        assert.match(flash(['--part', '0x8000=' + table, '--part', '0xd000=' + app], { status: 4 }).err, /otadata, which has/);
        flash([], { status: 2 });
        flash(['--app', app], { status: 2 });
    });

    test('what does not fit, or overlaps, is refused', () => {
        const app = image('esp32s3'), big = image('esp32s3', '3.0.0', 200000);
        fs.rmSync(FLASH);
        assert.match(flash(['--table', 'two_ota_usr', '--part', 'otadata=' + app], { status: 4 }).err, /otadata, which has 8192/);
        flash(['--table', 'two_ota_usr', '--part', '0x3fff00=' + app], { status: 4 });
        flash(['--table', 'two_ota_usr', '--bootloader', big], { status: 4 });
        flash(['--table', 'two_ota_usr', '--app', app, '--part', 'app0=' + app], { status: 4 });
        flash(['--table', 'two_ota', '--part', '0x8800=' + app], { status: 4 });
        flash(['--table', 'two_ota_usr', '--part', 'nowhere=' + app], { status: 2 });
        otter(['flash', 'build', '-o', FLASH, '--chip', 'esp32s3', '--flash-size', '1MB', '--table', 'two_ota'], { status: 3 });
        assert.ok(!fs.existsSync(FLASH));
    });

    test('an image that the boot loader would not start is refused', () => {
        const table = ['--table', 'two_ota_usr', '--app'], good = image('esp32s3');
        assert.match(flash([...table, image('esp32c3')], { status: 3 }).err, /another chip/);
        assert.match(flash([...table, patched(good, 'sum.bin', 300, b => b ^ 1)], { status: 3 }).err, /checksum/);
        assert.match(flash([...table, patched(good, 'align.bin', 0x18, b => b ^ 4)], { status: 3 }).err, /load address/);
        assert.match(flash([...table, file('junk.bin', 'junk')], { status: 3 }).err, /0xE9/);
        flash([...table, file('empty.bin', '')], { status: 3 });
    });

    test('a boot loader where the ROM does not look is refused', () => {
        const loader = fs.readFileSync(image('esp32s3')), table = ['--table', 'two_ota_usr'];
        // An ESP32-S3 file that was merged as if for an ESP32: 4 KiB of 0xFF, then the boot loader.
        const merged = file('merged.bin', Buffer.concat([Buffer.alloc(0x1000, 0xff), loader]));
        assert.match(flash([...table, '--part', '0=' + merged], { status: 3 }).err, /merged\.bin.*0x1000.*ESP32-S3.*0x0/);
        flash([...table, '--part', '0x1000=' + image('esp32s3')], { status: 3 });
        flash([...table, '--bootloader', merged], { status: 3 });
        assert.match(flash([...table, '--bootloader', image('esp32c3')], { status: 3 }).err, /ESP32-C3/);
        assert.match(flash([...table, '--bootloader', patched(image('esp32s3'), 'bl.bin', 300, b => b ^ 1)], { status: 3 }).err,
            /checksum/);
        // The same bytes are right for an ESP32, with its own boot loader.
        const right = file('right.bin', Buffer.concat([Buffer.alloc(0x1000, 0xff), fs.readFileSync(image('esp32'))]));
        otter(['flash', 'build', '-o', FLASH, '--chip', 'esp32', '--flash-size', '4MB', ...table, '--part', '0=' + right]);
        assert.match(flash([...table, '--app', image('esp32s3')]).err, /warning: there is no boot loader/);
    });

    test('a whole factory file: mis-merged refused, well-merged taken, its app judged', () => {
        flash(['--table', 'two_ota_usr', '--bootloader', image('esp32s3'), '--app', image('esp32s3')]);
        const good = fs.readFileSync(FLASH), bad = Buffer.from(good), broken = Buffer.from(good);
        bad.fill(0xff, 0, 0x8000).set(fs.readFileSync(image('esp32s3')), 0x1000);
        broken[0x10000 + 300] ^= 1;
        flash(['--part', '0=' + file('good.factory.bin', good.subarray(0, 0x20000))]);
        assert.ok(good.equals(fs.readFileSync(FLASH)));
        flash(['--part', '0=' + file('bad.factory.bin', bad)], { status: 3 });
        assert.match(flash(['--part', '0=' + file('broken.factory.bin', broken)], { status: 3 }).err, /app0.*checksum/s);
        // and info tells of it
        fs.writeFileSync(FLASH, bad);
        assert.deepEqual(info().bootloader, { chip: 'esp32s3', offset: 0x1000, length: fs.statSync(image('esp32s3')).size,
            misplaced: true });
        assert.match(otter(['flash', 'info', FLASH]).text, /would not start/);
    });
});

describe('flash info and erase', () => {
    test('partitions, images, otadata, what is free, what comes next', () => {
        flash(['--table', 'two_ota_usr', '--app', image('esp32s3'), '--part', 'app1=' + image('esp32s3', '2.0.0')]);
        patched(FLASH, 'flash.bin', 0x1e0000 + 300, b => b ^ 1);
        const i = info(), row = name => i.partitions.find(p => p.name === name);
        assert.equal(row('app0').image.version, '1.0.0');
        assert.equal(row('app0').image.valid, true);
        assert.equal(row('app1').image.error, 'bad_checksum');
        assert.equal(row('nvs').image, undefined);
        assert.deepEqual(i.free, [{ offset: 0xf000, size: 0x1000 }]);
        assert.deepEqual(i.otadata.map(e => e.valid), [false, false]);
        assert.equal(i.boots, 'app0');
        assert.deepEqual(i.next_update, { slot: 'app1', max_size: 1856 * 1024 });
        assert.equal(i.bootloader, null);
        const text = otter(['flash', 'info', FLASH]).text;
        assert.match(text, /app0 .*demo 1\.0\.0.*good/);
        assert.match(text, /app1 .*bad: .*checksum/);
        assert.match(text, /next update +to app1, at most 1900544 bytes/);
    });

    const heights = 'ota_0,app,ota_0,0x10000,-4M\nota_1,app,ota_1,1M,-4M\nota_2,app,ota_2,2M,-4M\n';
    const settings = 'nvs,data,nvs,0xb000,16K\n', otadata = 'otadata,data,ota,0x9000,8K\n';

    test('overlapping slots: the next image must leave the running one whole', () => {
        const pool = file('pool.csv', otadata + settings + heights);
        flash(['--table', pool, '--app', image('esp32s3')], { status: 3 });
        flash(['--table', pool, '--app', image('esp32s3'), '--overlapping-slots']);
        assert.deepEqual(info().next_update, { slot: 'ota_1', max_size: 3 << 20 });
        flash(['--table', pool, '--part', 'ota_2=' + image('esp32s3'), '--overlapping-slots']);
        assert.deepEqual(info().next_update, { slot: 'ota_0', max_size: (2 << 20) - 0x10000 });
        assert.deepEqual(info().division.app, { offset: 2 << 20, size: 65536 });
    });

    test('overlapping slots: why there is no next update, or no division', () => {
        // an update is recorded in the settings
        flash(['--table', file('pool.csv', otadata + heights), '--app', image('esp32s3'), '--overlapping-slots']);
        assert.equal(info().next_update, null);
        assert.equal(info().division.state, 'settled');
        assert.match(otter(['flash', 'info', FLASH]).text, /^next update +none is possible: .*settings/mi);
        // a factory app is no part of the pool
        const factory = otadata + settings + 'factory,app,factory,0x10000,0xf0000\n' + heights.replace('0x10000', '2M');
        flash(['--table', file('pool.csv', factory), '--app', image('esp32s3'), '--overlapping-slots']);
        assert.deepEqual(info().division, { state: 'unknown', pool: { offset: 1 << 20, size: 3 << 20 }, app: null,
            update: null, data: null, free: 3 << 20, largest: 0, costs_files: false, data_image: null });
        assert.equal(info().next_update, null);
        // nothing starts
        flash(['--table', file('pool.csv', otadata + settings + heights), '--overlapping-slots']);
        assert.deepEqual([info().boots, info().next_update, info().division], [null, null, null]);
        // slots are apart
        flash(['--table', 'two_ota_usr', '--app', image('esp32s3')]);
        assert.equal(info().division, null);
        assert.doesNotMatch(otter(['flash', 'info', FLASH]).text, /division/);
    });

    test('erase: a partition, all, or nothing', () => {
        flash(['--table', 'two_ota_usr', '--app', image('esp32s3'), '--part', 'usr=' + image('esp32c3')]);
        const before = fs.readFileSync(FLASH);
        assert.deepEqual(otter(['flash', 'erase', FLASH, 'app0', '--json']).json(),
            { file: FLASH, name: 'app0', offset: 0x10000, size: 1856 * 1024 });
        const now = fs.readFileSync(FLASH);
        assert.equal(now.length, before.length);
        assert.ok(now.subarray(0, 0x10000).equals(before.subarray(0, 0x10000)));
        assert.ok(now.subarray(0x1e0000).equals(before.subarray(0x1e0000)));
        assert.ok(now.subarray(0x10000, 0x1e0000).every(b => b === 0xff));
        otter(['flash', 'erase', FLASH, 'app7'], { status: 2 });
        otter(['flash', 'erase', FLASH], { status: 2 });
        otter(['flash', 'erase', FLASH, 'app0', '--all'], { status: 2 });
        assert.ok(now.equals(fs.readFileSync(FLASH)));
        otter(['flash', 'erase', FLASH, '--all']);
        assert.ok(fs.readFileSync(FLASH).every(b => b === 0xff));
        otter(['flash', 'info', FLASH], { status: 3 });
    });

    test('a flash that a virtual device runs from is not erased', async () => {
        flash(['--table', 'two_ota_usr', '--app', image('esp32s3')]);
        const before = fs.readFileSync(FLASH);
        const holder = spawn('flock', ['-x', FLASH, 'sh', '-c', 'echo held; exec cat']);
        try {
            await once(holder.stdout, 'data');
            assert.match(otter(['flash', 'erase', FLASH, '--all'], { status: 4 }).err, /virtual device/);
        } finally {
            holder.stdin.end();
            await once(holder, 'close');
        }
        assert.ok(before.equals(fs.readFileSync(FLASH)));
    });
});
