// The tool from outside: verdicts against the vectors, exit statuses, what goes to which stream, and a device that
// loses power.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import { Bench, OTTER, VECTORS, otter, patched, run, sha256 } from './device.mjs';

const ANY = { '*': { behaviour: 'healthy', confirm_after_ms: 0 } };
const bench = new Bench();
after(() => bench.close());

const read = name => JSON.parse(fs.readFileSync(path.join(VECTORS, name, 'cases.json'), 'utf8'));
const v10 = await bench.image('1.0.0'), v11 = await bench.image('1.1.0');
const device = options => bench.device({ image: v10, scenario: ANY, ...options });

// ---- images

// ESP-IDF's verdict: v6.0.2 where its versions differ, but master where v6.0.2 crashes.
function verdict(c) {
    const v = c.esp_image_verify, at = v.differs || {};
    const one = c.name === 'mmu_page_40_c6' ? at.master : at['v6.0.2'] || v;
    return Number(one.err);
}

// ESP_FAIL is -1.
const number = text => Number(text) | 0;

function describe_images() {
    const cases = read('image').cases.filter(c => c.bin);
    for (const c of cases)
        test(c.name, async () => {
            const file = path.join(VECTORS, 'image', c.bin), bytes = fs.readFileSync(file);
            const options = ['--chip', c.chip, '--chip-rev', c.chip_rev, '--efuse-blk-rev', c.efuse_blk_rev,
                '--slot-size', Number(c.partition_size), '--offset', Number(c.offset), '--json'];
            const want = verdict(c);
            for (const command of ['verify', 'info']) {
                const r = await otter(['image', command, file, ...options]), o = JSON.parse(r.out);
                assert.equal(o.valid, want === 0, r.out);
                assert.equal(number(o.esp_err), want | 0, r.out);
                assert.equal(o.size, bytes.length);
                assert.equal(r.code === 0, want === 0, `exit status ${r.code}`);
                assert.equal(r.err, '');
                if (want !== 0) {
                    assert.match(o.error, /^[a-z_]+$/);
                    // A slot above 16 MiB is no matter of the image.
                    assert.ok(r.code === (want === 0x102 ? 2 : 3) || r.code === 4, `exit status ${r.code}`);
                    continue;
                }
                assert.equal(o.file_sha256, sha256(bytes));
                if (c.esptool_image_info?.hash) assert.equal(o.sha256, c.esptool_image_info.hash[0]);
            }
        });
    test('all of them', () => assert.equal(cases.length, 34));
}

describe('image verify and info, by the vectors', { concurrency: 2 }, describe_images);

test('image verify in words', async () => {
    const good = await otter(['image', 'verify', v10]);
    assert.equal(good.code, 0);
    assert.match(good.out, /good: demo 1\.0\.0 for ESP32-C3/);
    const bad = await otter(['image', 'verify', bench.file('junk')]);
    assert.deepEqual([bad.code, bad.out], [3, '']);
    assert.match(bad.err, /^otter: .*\(bad_magic\)\n$/);
    const piped = await otter(['image', 'verify', '-'], { input: fs.readFileSync(v10) });
    assert.equal(piped.code, 0);
    const same = bench.file(patched(v10, 400, 'text'));
    assert.equal((await otter(['image', 'verify', same])).code, 0);
    assert.notEqual(sha256(fs.readFileSync(same)), sha256(fs.readFileSync(v10)));
});

// ---- boot loader

const { cases: BOOTS, layouts: LAYOUTS } = read('otadata');
const layout_file = name => fs.readFileSync(path.join(VECTORS, 'otadata/layouts', name + '.bin'));

function build_flash(c) {
    const flash = Buffer.alloc(0x140000, 0xff), rows = LAYOUTS[c.layout];
    layout_file(c.layout).copy(flash, 0x8000);
    for (const row of rows) {
        const at = Number(row.offset);
        if (row.type === 0 && !c.erased_slots.includes(row.label)) {
            layout_file('app_esp32c3_secver' + (c.secure_version[row.label] || 0)).copy(flash, at);
            if (c.corrupt_images.includes(row.label)) flash[at + 0x120] ^= 1;
        }
        if (row.type === 1 && row.subtype === 0) {
            Buffer.from(c.otadata0, 'hex').copy(flash, at);
            Buffer.from(c.otadata1, 'hex').copy(flash, at + 0x1000);
        }
    }
    return flash;
}

function apply(flash, ops) {
    for (const o of ops)
        if (o.op === 'erase') flash.fill(0xff, o.offset, o.offset + o.size);
        else Buffer.from(o.data, 'hex').forEach((byte, i) => { flash[o.offset + i] &= byte; });
}

// What the device says that the boot loader says, in this order, perhaps with more between.
function contains_in_order(lines, wanted) {
    let at = 0;
    for (const line of wanted) {
        const found = lines.indexOf(line, at);
        assert.ok(found >= 0, `"${line}" is missing behind line ${at} of\n${lines.join('\n')}`);
        at = found + 1;
    }
}

async function check_boot(flash, want, options) {
    const file = bench.file(flash), r = await otter(['flash', 'boot', file, '--json', ...options]);
    const o = JSON.parse(r.out);
    assert.ok(fs.readFileSync(file).equals(flash), 'the file was changed');
    fs.rmSync(file);
    assert.equal(o.boots, want.result === 'boot');
    assert.equal(r.code, o.boots ? 0 : 5);
    assert.equal(o.selected_index, want.selected_index);
    assert.equal(o.slot, want.booted);
    assert.equal(o.offset, want.booted_offset && Number(want.booted_offset));
    const ops = o.otadata_writes.map(w => [w.op, w.offset, w.op === 'erase' ? w.size : w.data]);
    const flash_ops = want.flash_ops.filter(([op]) => op !== 'efuse_secure_version');
    assert.deepEqual(ops, flash_ops.map(([op, at, data]) => [op, Number(at), data]));
    contains_in_order(o.log, want.log);
    if (want.efuse_after !== undefined) assert.equal(o.efuse_version_after, want.efuse_after);
    apply(flash, o.otadata_writes);
    return o;
}

describe('flash boot, by the vectors', { concurrency: 2 }, () => {
    const builds = { none: [], rollback: ['--rollback'], anti: ['--anti-rollback'] };
    for (const c of BOOTS)
        for (const [build, boots] of Object.entries(c.expect))
            test(`${c.name}, ${build}`, async () => {
                const flash = build_flash(c);
                let efuse = c.efuse_secure_version;
                for (const want of boots) {
                    const more = build === 'anti' ? ['--efuse-version', efuse] : [];
                    const o = await check_boot(flash, want, [...builds[build], ...more]);
                    efuse = o.efuse_version_after;
                }
            });
    test('all of them', () => assert.equal(BOOTS.length, 65));
});

test('otadata explain agrees, from the flash and from otadata alone', async () => {
    let seen = 0;
    for (const c of BOOTS.slice(0, 40)) {
        const rows = LAYOUTS[c.layout], row = rows.find(r => r.type === 1 && r.subtype === 0);
        const slots = rows.filter(r => r.type === 0 && r.subtype >= 16).length;
        const factory = rows.some(r => r.type === 0 && r.subtype === 0);
        const flash = build_flash(c), at = Number(row.offset);
        const files = [[bench.file(flash)], [bench.file(flash.subarray(at, at + 0x2000)), '--slots', slots,
            ...(factory ? ['--factory'] : [])]];
        for (const [build, options] of [['none', []], ['rollback', ['--rollback']]]) {
            if (!c.expect[build]) continue;
            for (const args of files) {
                const r = await otter(['otadata', 'explain', ...args, ...options, '--json']), o = JSON.parse(r.out);
                assert.equal(o.selected_index, c.expect[build][0].selected_index, `${c.name}, ${build}: ${r.out}`);
                seen++;
            }
        }
        files.forEach(([file]) => fs.rmSync(file));
    }
    assert.ok(seen > 100, `${seen}`);
});

test('images as they are met', async () => {
    const plain = fs.readFileSync(await bench.image('1.0.0', { project: 'arduino-lib-builder' }));
    const front = bench.file(Buffer.concat([Buffer.alloc(512, 0x5a), plain]));
    const bare = Buffer.from(plain.subarray(0, plain.length - 32));
    bare[23] = 0;
    const info = async (file, verb, ...rest) => otter(['image', verb, file, ...rest]);
    const r = await info(front, 'verify');
    assert.equal(r.code, 3);
    assert.match(r.err, /bad_magic[^]*begins at byte 512/);
    assert.match(JSON.parse((await info(bench.file(plain), 'info', '--json')).out).note, /framework/);
    const unhashed = await info(bench.file(bare), 'verify');
    assert.equal(unhashed.code, 0);
    assert.match(unhashed.err, /framework/);
    const other = await bench.image('1.0.0');
    assert.equal(JSON.parse((await info(other, 'info', '--json')).out).note, null);
});

// ---- push

const push = (file, d, ...rest) => otter(['push', file, typeof d === 'string' ? d : d.url, ...rest], { ms: 60000 });

describe('push', { concurrency: 3 }, () => {
    test('0: it runs and is confirmed', async () => {
        const d = await device();
        assert.equal((await d.status()).boot_id, 1);
        const r = await push(v11, d);
        assert.deepEqual([r.code, r.err], [0, ''], r.err);
        assert.equal(r.out, '1.0.0 (ota_0) -> 1.1.0 (ota_1): confirmed\n');
        await d.runs('1.1.0');
        const again = await push(v11, d, '--json');
        assert.equal(again.code, 0);
        assert.equal(JSON.parse(again.out).result, 'already_current');
        assert.equal((await d.status()).boot_id, 2);
    });

    test('0, as JSON, without a word else', async () => {
        const d = await device(), r = await push(v11, d.url + '/', '--json');
        assert.deepEqual([r.code, r.err], [0, '']);
        assert.deepEqual(JSON.parse(r.out), { result: 'confirmed', from_version: '1.0.0', from_slot: 'ota_0',
            version: '1.1.0', slot: 'ota_1', sha256: sha256(fs.readFileSync(v11)) });
    });

    test('0, without waiting, and without scheme', async () => {
        const d = await device(), r = await push(v11, d.url.slice(7), '--no-wait');
        assert.equal(r.code, 0, r.err);
        assert.match(r.out, /1\.1\.0 \(ota_1\): switched/);
        assert.equal((await d.status()).boot_id, 1);
    });

    test('0, a boot loader that cannot roll back', async () => {
        const d = await device({ args: ['--no-rollback'] }), r = await push(v11, d);
        assert.equal(r.code, 0, r.err);
        assert.match(r.out, /cannot roll back/);
    });

    test('2: no such file, wrong command line', async () => {
        for (const args of [['nowhere.bin', 'http://127.0.0.1:1'], [v11], [], [v11, 'a', 'b'], [v11, 'a', '--what'],
            [v11, 'a', '--timeout', 'soon']]) {
            const r = await otter(['push', ...args]);
            assert.equal(r.code, 2, args.join(' '));
            assert.equal(r.out, '');
            assert.match(r.err, /^otter/m);
        }
    });

    test('3: a bad image, and the device is not even asked', async () => {
        const bytes = fs.readFileSync(v11);
        bytes[5000] ^= 1;
        for (const [data, name] of [[bytes, 'bad_checksum'], ['junk', 'bad_magic'], ['', 'empty']]) {
            const r = await push(bench.file(data), 'http://127.0.0.1:1');
            assert.equal(r.code, 3, r.err);
            assert.match(r.err, new RegExp(`\\(${name}\\)`));
        }
        const d = await device(), r = await push(await bench.image('1.1.0', { chip: 'esp32' }), d);
        assert.equal(r.code, 3);
        assert.match(r.err, /ESP32,.*ESP32-C3.*\(wrong_chip\)/);
        assert.equal((await d.status()).update.state, 'idle');
    });

    test('4: refused', async () => {
        const d = await device(), before = d.bytes();
        const expect = async (r, name) => {
            const { code, err } = await r;
            assert.equal(code, 4, err);
            assert.match(err, new RegExp(`^otter: .*\\(${name}\\)\n$`));
            assert.ok(before.equals(d.bytes()), 'the flash has changed');
        };
        await expect(push(await bench.image('1.1.0', { project: 'kettle' }), d), 'wrong_project');
        await expect(push(await bench.image('1.1.0', { size: 1800000 }), d), 'too_big');
        await expect(push(v11, d.url.replace('127.0.0.1', 'evil.localhost')), 'foreign_host');
    });

    test('4: busy', async () => {
        const d = await device(), raw = d.raw(), bytes = fs.readFileSync(v11);
        await raw.write(`POST /update HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: ${bytes.length}\r\n\r\n`);
        await raw.write(bytes.subarray(0, 50000));
        await d.seen('half of it', s => s.update.received > 30000);
        const r = await push(v11, d);
        assert.equal(r.code, 4);
        assert.match(r.err, /HTTP 409.*\(busy\)/);
        await raw.write(bytes.subarray(50000));
        await d.runs('1.1.0');
    });

    test('4: not confirmed yet', async () => {
        const d = await device({ scenario: { '*': { behaviour: 'never_confirms' } } });
        const r = await push(v11, d, '--timeout', '3', '--json');
        assert.equal(r.code, 5);
        assert.equal(JSON.parse(r.out).result, 'not_confirmed');
        const next = await push(await bench.image('1.2.0'), d);
        assert.equal(next.code, 4, next.err);
        assert.match(next.err, /\(pending_verify\)/);
    });

    test('5: the device went back', async () => {
        const d = await device({ scenario: { '1.1.0': { behaviour: 'crash_at_boot' }, ...ANY } });
        const r = await push(v11, d, '--json');
        assert.equal(r.code, 5, r.err);
        assert.equal(JSON.parse(r.out).result, 'rolled_back');
        assert.equal(JSON.parse(r.out).version, '1.0.0');
        assert.match(r.err, /1\.1\.0 did not work.*1\.0\.0 \(rolled_back\)/);
    });

    test('6: no connection', async () => {
        for (const url of ['http://127.0.0.1:1', '127.0.0.1:1', 'ftp://127.0.0.1:1']) {
            const r = await push(v11, url);
            assert.equal(r.code, 6, r.err);
            assert.match(r.err, /\(connection_failed\)/);
        }
    });

    test('passwords, and none of them is printed', async () => {
        const token = 'tok-5ecret', password = 'pass-5ecret', user = `ada:${password}`;
        const env = { OTTER_TOKEN: token, OTTER_USER: user };
        const http = { headers: { Authorization: 'Bearer ' + token } };
        const d = await device({ args: ['--token', token, '--user', user], http });
        const all = [];
        const keep = async (code, ...args) => {
            const r = await otter(args[0], args[1]);
            assert.equal(r.code, code, r.err);
            all.push(r.out, r.err);
        };
        await keep(4, ['push', v11, d.url]);
        await keep(4, ['push', v11, d.url, '--token', token + 'x']);
        await keep(4, ['push', v11, d.url, '--user', user + 'x']);
        await keep(0, ['push', v11, d.url, '--token', token]);
        await keep(0, ['push', v11, d.url, '--user', user, '--json']);
        await keep(0, ['push', await bench.image('1.2.0'), d.url], { env: { OTTER_TOKEN: token } });
        await keep(0, ['push', v11, d.url], { env });
        assert.match(all[1], /credentials/);
        assert.doesNotMatch(all.join('') + d.log, /5ecret/);
        assert.doesNotMatch(all.join('') + d.log, new RegExp(Buffer.from(user).toString('base64').slice(0, 16)));
    });

    test('a progress bar only where somebody looks', async () => {
        const d = await device();
        assert.doesNotMatch((await push(v11, d)).err, /\r|%/);
        const line = `${OTTER} push ${await bench.image('1.2.0')} ${d.url} --json`;
        const seen = await run('script', ['-qec', line, '/dev/null'], { ms: 60000 });
        assert.match(seen.out, /\r.*100 %.*in flash/);
        const quiet = `${OTTER} push ${v11} ${d.url} --quiet`;
        assert.doesNotMatch((await run('script', ['-qec', quiet, '/dev/null'], { ms: 60000 })).out, /%/);
    });
});

// ---- power

describe('power goes in the middle of an update', { concurrency: 3 }, () => {
    for (const cut of ['20', '12:after', '25:prefix:100', '22:random-bits:7', '24:all-but-one:3', '13:half-erase:4096'])
        test(`--power-cut ${cut}`, async () => {
            const d = await device({ args: ['--power-cut', cut] }), r = await push(v11, d);
            assert.equal(r.code, 0, r.err);
            assert.match(r.err, /going on at byte/);
            assert.match(d.log, /power is lost, and comes back/);
            await d.runs('1.1.0');
        });
    test('what is in flash is not sent again', async () => {
        const big = await bench.image('1.2.0', { size: 600000 });
        const d = await device({ args: ['--power-cut', '1500'] }), r = await push(big, d);
        assert.equal(r.code, 0, r.err);
        const at = Number(r.err.match(/going on at byte (\d+)/)[1]);
        assert.ok(at >= 131072 && at % 65536 === 0, r.err);
    });
});

// ---- the command line

const COMMANDS = [[], ['image'], ['image', 'info'], ['image', 'verify'], ['image', 'build'], ['image', 'synth'],
    ['otadata'], ['otadata', 'explain'], ['flash'], ['flash', 'boot'], ['device'], ['device', 'run'], ['push']];

test('help goes to stdout, for every command', async () => {
    for (const command of COMMANDS) {
        const r = await otter([...command, '--help']);
        assert.deepEqual([r.code, r.err], [0, ''], command.join(' '));
        assert.match(r.out, /^usage: otter/i);
        assert.ok(r.out.split('\n').every(line => line.length <= 120), 'long lines: ' + command.join(' '));
    }
    assert.match((await otter(['version'])).out, /^otter \d/);
});

test('a wrong command line: 2, nothing on stdout, and a hint', async () => {
    const wrong = [[], ['what'], ['image'], ['image', 'what'], ['image', 'verify'], ['image', 'verify', 'a', 'b'],
        ['image', 'verify', v10, '--what'], ['image', 'verify', v10, '--chip', 'esp99'],
        ['image', 'verify', v10, '--slot-size', 'x'], ['image', 'info', 'nowhere.bin'], ['image', 'synth'],
        ['image', 'synth', '--chip', 'esp32c3'], ['image', 'build'], ['otadata', 'explain'],
        ['otadata', 'explain', v10, '--slots', '17'], ['flash'], ['flash', 'boot'],
        ['flash', 'boot', v10, '--chip-rev', '-1'],
        ['device'], ['device', 'run'], ['device', 'run', '--flash', '/x', '--time', 'slow'],
        ['device', 'run', '--flash', '/x', '--power-cut', 'never'],
        ['device', 'run', '--flash', '/x', '--flash-size', '5'],
        ['device', 'run', '--flash', bench.dir + '/none'], ['push']];
    for (const args of wrong) {
        const r = await otter(args);
        assert.equal(r.code, 2, args.join(' '));
        assert.equal(r.out, '', args.join(' '));
        assert.match(r.err, /otter/i, args.join(' '));
        assert.ok(r.err.trim().length > 20, args.join(' '));
    }
});

test('two devices cannot share a flash, nor a port', async () => {
    const d = await device();
    const same = await otter(['device', 'run', '--flash', d.flash]);
    assert.notEqual(same.code, 0);
    assert.match(same.err, /another virtual device uses it/);
    const port = await otter(['device', 'run', '--flash', bench.dir + '/other.flash', '--image', v10, '--http',
        '127.0.0.1:' + d.port]);
    assert.notEqual(port.code, 0);
    assert.match(port.err, /choose another/);
});

test('output into a device or a pipe leaves it what it is', async () => {
    const pipe = bench.file(Buffer.alloc(0), '.fifo');
    fs.rmSync(pipe);
    assert.equal((await run('mkfifo', [pipe])).code, 0);
    const args = ['image', 'synth', '--chip', 'esp32c3', '--version', '1', '--project', 'p', '--size', 400, '-o', pipe];
    const [made, read] = await Promise.all([otter(args), run('wc', ['-c', pipe])]);
    assert.equal(made.code, 0, made.err);
    assert.match(read.out, /^7\d\d /);
    assert.ok(fs.lstatSync(pipe).isFIFO());
});

test('what stdout does not take is an error', async () => {
    const dir = bench.dir, env = { AWS_ACCESS_KEY_ID: 'me', AWS_SECRET_ACCESS_KEY: 'x' };
    for (const line of ['version', '--help', 'publish --help', 'push --help', 'presign s3://bucket/key', `publish ${v10} --channel stable ${dir}/full`]) {
        const r = await run('sh', ['-c', `${OTTER} ${line} >/dev/full`], { env });
        assert.deepEqual([r.code, r.err], [2, 'otter: stdout: No space left on device\n'], line);
    }
});
