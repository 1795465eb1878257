// Channels: what is published, what is refused before a byte is written, and what reading back finds. In folders, behind
// HTTP servers, and at an S3 server that checks signatures.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import net from 'node:net';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Bench, OTTER, otter, patched, run, sha256, until } from './device.mjs';
import { start_s3 } from './s3.mjs';

const bench = new Bench();
after(() => bench.close());

const TABLE = 'two_ota_usr', OTHER_TABLE = 'two_ota_large';
// Where their otadata, behind the settings, and their first app lie.
const PLACES = { [TABLE]: [0xd000, 0x10000], [OTHER_TABLE]: [0xf000, 0x20000] };
const NVS = 0x9000;
const BOOT_AT = { esp32: 0x1000, esp32c3: 0, esp32p4: 0x2000 };

const image = (version, chip = 'esp32c3', more = {}) => bench.image(version, { chip, ...more });
const images = (version, ...chips) => Promise.all(chips.map(c => image(version, c)));
// A boot loader has no app descriptor.
async function bootloader(chip) {
    const app = await bench.image('0.0.0', { chip, project: 'loader', size: 16000 });
    return bench.file(patched(app, 32, '\0\0\0\0'));
}

let folders = 0;
function folder() {
    const dir = path.join(bench.dir, `target-${folders++}`);
    fs.mkdirSync(dir);
    return dir;
}

const publish = (...args) => otter(['publish', ...args]);
async function good(...args) {
    const r = await publish(...args, '--json');
    assert.equal(r.code, 0, r.out + r.err);
    assert.equal(r.err, '');
    return JSON.parse(r.out);
}
async function refused(code, says, ...args) {
    const r = await publish(...args);
    assert.deepEqual([r.code, r.out], [code, ''], r.err);
    assert.match(r.err, says);
    return r;
}

const read = (...names) => JSON.parse(fs.readFileSync(path.join(...names), 'utf8'));
const tree = dir => fs.readdirSync(dir, { recursive: true }).filter(f => fs.statSync(path.join(dir, f)).isFile()).sort();
const snapshot = dir => Object.fromEntries(tree(dir).map(f => [f, sha256(fs.readFileSync(path.join(dir, f)))]));

async function check(where, ...args) {
    const r = await publish('--check', where, '--json', ...args);
    return { code: r.code, ...JSON.parse(r.out) };
}
async function in_order(where, ...args) {
    const r = await check(where, ...args);
    assert.deepEqual([r.code, r.findings], [0, []]);
    return Object.fromEntries(r.builds.map(b => [b.chip, b.version]));
}

// ---- a folder

test('a release in a folder', async () => {
    const dir = folder(), v10 = await images('1.0.0', 'esp32', 'esp32c3');
    const r = await publish(...v10, '--channel', 'stable', dir, '--notes', 'größer, besser');
    assert.deepEqual([r.code, r.err], [0, '']);
    assert.match(r.out, /stable: published 1\.0\.0\n {2}esp32 +1\.0\.0, \d+ bytes, 1\.0\.0\/esp32-app-[0-9a-f]{12}\.bin\n {2}esp32c3 /);
    for (const [i, chip] of ['esp32', 'esp32c3'].entries()) {
        const bytes = fs.readFileSync(v10[i]), digest = sha256(bytes);
        const name = `1.0.0/${chip}-app-${digest.slice(0, 12)}.bin`;
        assert.deepEqual(read(dir, 'stable', `${chip}.json`), { version: '1.0.0', path: name, size: bytes.length,
            sha256: digest, project: 'demo', notes: 'größer, besser' });
        assert.ok(fs.readFileSync(path.join(dir, 'stable', name)).equals(bytes));
    }
    assert.deepEqual(tree(dir).filter(f => !f.includes('-app-')), ['stable/esp32.json', 'stable/esp32c3.json', 'stable/releases.json']);

    await good(...await images('1.1.0', 'esp32', 'esp32c3'), '--channel', 'stable', dir);
    assert.equal(tree(dir).filter(f => f.includes('-app-')).length, 4, 'earlier releases stay');
    assert.deepEqual(await in_order(path.join(dir, 'stable')), { esp32: '1.1.0', esp32c3: '1.1.0' });
    assert.deepEqual(await in_order(dir, '--channel', 'stable'), { esp32: '1.1.0', esp32c3: '1.1.0' });
    assert.deepEqual(await in_order(path.join(dir, 'stable/esp32.json')), { esp32: '1.1.0' });
    const here = await run('sh', ['-c', 'cd "$1" && "$2" publish --check esp32.json', 'sh', path.join(dir, 'stable'), OTTER]);
    assert.match(here.out, /^\.: in order\n {2}esp32 +1\.1\.0/, here.err);
    await refused(6, /^otter: [^ ,]+: there is no channel here/, '--check', dir);
    assert.deepEqual(read(dir, 'stable/releases.json').releases.map(x => x.version), ['1.0.0', '1.1.0']);
});

test('one chip after the other', async () => {
    const dir = folder(), stable = path.join(dir, 'stable');
    await good(await image('1.0.0', 'esp32'), '--channel', 'stable', dir);
    await good(await image('1.0.0', 'esp32c3'), '--channel', 'stable', dir);
    assert.deepEqual(await in_order(stable), { esp32: '1.0.0', esp32c3: '1.0.0' });
    assert.equal(read(stable, 'releases.json').releases.length, 1);
    await good(await image('1.1.0', 'esp32c3'), '--channel', 'stable', dir);
    assert.deepEqual(await in_order(stable), { esp32: '1.0.0', esp32c3: '1.1.0' });
});

test('older only if asked for', async () => {
    const dir = folder(), v11 = await image('1.1.0'), other = await image('1.1.0', 'esp32c3', { seed: 7 });
    const into = ['--channel', 'stable', dir];
    await good(v11, ...into);
    const before = snapshot(dir);
    for (const version of ['1.0.0', '1.1.0-rc.1', 'v1.0.9-3-gabcd123'])
        await refused(4, /not newer than 1\.1\.0.*--allow-older.*\(not_newer\)/, await image(version), ...into);
    await refused(4, /offers version 1\.1\.0 already, with other content.*\(not_newer\)/, other, ...into);
    await refused(4, /"4ad9b17" is no version.*\(wrong_version\)/, await image('4ad9b17'), ...into);
    assert.deepEqual(snapshot(dir), before);
    await good(v11, ...into);
    await good(await image('v1.1.0-3-gabcd123'), ...into);
    await good(await image('1.0.0'), ...into, '--allow-older');
    assert.deepEqual(await in_order(path.join(dir, 'stable')), { esp32c3: '1.0.0' });
    // Whoever made the channel, its order holds.
    fs.writeFileSync(path.join(dir, 'stable/esp32c3.json'), '{"version": "v2.0.0", "path": "https://example.org/x.bin"}');
    await refused(4, /not newer than v2\.0\.0/, await image('1.9.0'), ...into);
    await good(await image('2.0.1'), ...into);
});

test('what the air cannot bring', async () => {
    const dir = folder(), stable = path.join(dir, 'stable');
    const next = async (version, ...more) => {
        await good(await image(version), '--channel', 'stable', dir, ...more);
        const { requires_full_flash: full, min_version: min } = read(stable, 'esp32c3.json');
        return [full, min];
    };
    assert.deepEqual(await next('1.0.0', '--table', TABLE, '--board', '1'), [undefined, undefined]);
    assert.deepEqual(await next('1.1.0', '--table', TABLE, '--board', '1'), [undefined, undefined]);
    assert.deepEqual(await next('1.2.0'), [undefined, undefined]);
    assert.deepEqual(await next('2.0.0', '--table', OTHER_TABLE), [true, undefined]);
    // Said again it is the same; whoever is below 2.0.0 still needs a cable for what follows.
    assert.deepEqual(await next('2.0.0', '--table', OTHER_TABLE), [true, undefined]);
    assert.deepEqual(await next('2.1.0'), [undefined, '2.0.0']);
    assert.deepEqual(await next('2.2.0', '--table', OTHER_TABLE), [undefined, '2.0.0']);
    assert.deepEqual(await next('2.3.0', '--min-version', '1.9.0'), [undefined, '2.0.0']);
    assert.deepEqual(await next('2.4.0', '--min-version', '2.1.0'), [undefined, '2.1.0']);
    assert.deepEqual(await next('3.0.0', '--board', '2'), [true, undefined]);
    assert.deepEqual(await next('3.1.0', '--requires-full-flash'), [true, '3.0.0']);
    assert.deepEqual(await next('3.2.0'), [undefined, '3.1.0']);
    const r = await check(stable);
    assert.deepEqual([r.builds[0].min_version, r.builds[0].board_format], ['3.1.0', '2']);
    // The same version with another table: it stays told, whatever is said of it after that.
    const version = '4.0.0';
    assert.deepEqual(await next(version), [undefined, '3.1.0']);
    assert.deepEqual(await next(version, '--table', TABLE), [true, undefined]);
    assert.deepEqual(await next(version), [true, undefined]);
    assert.deepEqual(await next('4.1.0'), [undefined, version]);
    // Of the first release, too.
    await good(await image('1.0.0'), '--channel', 'first', dir, '--table', TABLE);
    await good(await image('1.0.0'), '--channel', 'first', dir, '--table', OTHER_TABLE);
    assert.equal(read(dir, 'first/esp32c3.json').requires_full_flash, true);
    await good(await image('1.1.0'), '--channel', 'first', dir);
    assert.equal(read(dir, 'first/esp32c3.json').min_version, '1.0.0');
});

test("another project's image", async () => {
    const dir = folder(), into = ['--channel', 'stable', dir], other = await image('1.3.0', 'esp32', { project: 'other' });
    await good(await image('1.0.0'), ...into);
    await good(other, '--channel', 'testing', dir);
    const before = snapshot(dir), says = /of project other, but 1\.0\.0 there is of demo.*--allow-other-project.*\(wrong_project\)/;
    await refused(4, says, other, ...into);
    await refused(4, says, '--promote', 'testing', 'stable', dir);
    assert.deepEqual(snapshot(dir), before);
    await good('--promote', 'testing', 'stable', dir, '--allow-other-project');
    await good(await image('1.4.0', 'esp32c3', { project: 'other' }), ...into);
});

test('an image that the table of the channel has no room for', async () => {
    const dir = folder(), into = ['--channel', 'stable', dir], large = await image('1.1.0', 'esp32c3', { size: 2000000 });
    await good(await image('1.0.0'), ...into, '--table', TABLE);
    const before = snapshot(dir);
    await refused(4, /the image for esp32c3 has \d+ bytes, partition app[01] of the last release's table takes 1900544.*--table.*\(too_big\)/, large, ...into);
    assert.deepEqual(snapshot(dir), before);
    const table = path.join(dir, 'stable', tree(path.join(dir, 'stable')).find(f => f.includes('-table-')));
    fs.rmSync(table);
    await refused(6, /the table of the last release is missing or damaged; give one with --table/, await image('1.1.0'), ...into);
    fs.writeFileSync(table, 'damaged');
    await refused(3, /the table of the last release is missing or damaged/, await image('1.1.0'), ...into);
    await good(await image('1.1.0'), ...into, '--table', TABLE);
});

// ---- what is refused

describe('refused before anything is written', () => {
    const cases = {
        'junk': async () => [3, /\(bad_magic\)/, bench.file('junk')],
        'a damaged image': async () => [3, /\(bad_checksum\)/, bench.file(flip(await image('1.0.0'), 500))],
        'no image at all': async () => [2, /No such file/, '/nonexistent.bin'],
        'two for one chip': async () => [3, /both for ESP32-C3/, await image('1.0.0'), await image('1.0.0', 'esp32c3', { seed: 3 })],
        'two versions': async () => [4, /one release has one version/, await image('1.0.0'), await image('1.1.0', 'esp32')],
        'two projects': async () => [4, /of project other/, await image('1.0.0'), await image('1.0.0', 'esp32', { project: 'other' })],
        'an image that no slot holds': async () =>
            [4, /has \d+ bytes, partition app[01] of two_ota_usr takes 1900544/, await image('1.0.0', 'esp32c3', { size: 2000000 }), '--table', TABLE],
        'a signed image that no slot holds': async () => {
            const signed = path.join(bench.dir, 'signed-large.bin');
            await otter(['image', 'sign', await image('1.0.0', 'esp32c3', { size: 1900000 }), '--key', await key(), '-o', signed]);
            return [4, /has 1904640 bytes, partition app[01] of two_ota_usr takes 1900544/, signed, '--table', TABLE];
        },
        'a table without an app': async () => [4, /neither a factory app nor an ota slot/, await image('1.0.0'), '--table', bench.file('nvs,data,nvs,0x9000,0x4000\n', '.csv')],
        'a bad table': async () => [3, /line 1/, await image('1.0.0'), '--table', bench.file('nvs,data,nonsense,0x9000,0x4000\n', '.csv')],
        "another chip's table": async () => [3, /no image that it is for/, await image('1.0.0'), '--table', `esp32=${TABLE}`],
        "another chip's boot loader": async () => [3, /boot loader for ESP32-S3, for which there is no image/, await image('1.0.0'), '--bootloader', await bootloader('esp32s3')],
        'an app as boot loader': async () => [3, /is an app, no boot loader/, await image('1.0.0'), '--bootloader', await bench.image('1.0.0', { size: 9000 })],
        'a boot loader over the table': async () => [4, /\(too_big\)|reach over the table/, await image('1.0.0', 'esp32'),
            '--bootloader', bench.file(patched(await bench.image('1.0.0', { chip: 'esp32', size: 30000 }), 32, '\0\0\0\0'))],
        'an unsigned image': async () => [4, /\(unsigned\)/, await image('1.0.0'), '--key', await key()],
        'a minimum that is no version': async () => [2, /no version like/, await image('1.0.0'), '--min-version', 'new'],
        'notes without end': async () => [2, /1024 bytes/, await image('1.0.0'), '--notes', 'x'.repeat(1025)],
        'a base URL of another kind': async () => [2, /https:\/\//, await image('1.0.0'), '--base-url', 'ftp://example.org'],
    };
    const flip = (file, at) => { const b = fs.readFileSync(file); b[at] ^= 1; return b; };
    let made;
    const key = async () => {
        made ??= path.join(bench.dir, 'key.pem');
        if (!fs.existsSync(made)) await otter(['image', 'keygen', '-o', made, '--type', 'ecdsa-p256']);
        return made;
    };
    for (const [what, make] of Object.entries(cases))
        test(what, async () => {
            const dir = folder(), [code, says, ...args] = await make();
            await refused(code, says, ...args, '--channel', 'stable', dir);
            assert.deepEqual(tree(dir), []);
        });

    test('a signed one goes', async () => {
        const dir = folder(), signed = path.join(bench.dir, 'signed.bin');
        await otter(['image', 'sign', await image('1.0.0'), '--key', await key(), '-o', signed]);
        await good(signed, '--key', await key(), '--channel', 'stable', dir);
        assert.ok(fs.readFileSync(path.join(dir, 'stable', read(dir, 'stable/esp32c3.json').path)).equals(fs.readFileSync(signed)));
        assert.deepEqual(await in_order(path.join(dir, 'stable'), '--key', await key()), { esp32c3: '1.0.0' });
        await good(await image('1.1.0'), '--channel', 'unsigned', dir);
        await refused(4, /app.*\(unsigned\)/, '--check', path.join(dir, 'unsigned'), '--key', await key());
        await refused(4, /app.*\(unsigned\)/, '--promote', 'unsigned', 'stable', dir, '--key', await key());
    });

    test('wrong command lines', async () => {
        const dir = folder(), v10 = await image('1.0.0');
        const lines = [[v10, dir], [v10, '--channel', 'stable'], [v10, '--channel', '../x', dir], ['--check'],
            ['--check', '--retract', dir], ['--promote', 'a', 'a', dir], ['--promote', 'a', dir], ['--retract', dir],
            [v10, '--channel', 'stable', dir, '--nonsense'], [v10, '--channel', 'a', 's3:///x']];
        for (const line of lines) assert.equal((await publish(...line)).code, 2, line.join(' '));
        for (const [option, ...action] of [['--requires-full-flash', '--promote', 'a', 'b', dir], ['--min-version=0.9.0', '--promote', 'a', 'b', dir],
            ['--table=two_ota_usr', '--promote', 'a', 'b', dir], ['--allow-older', '--check', dir], ['--notes=x', '--retract', '--channel', 'a', dir]])
            await refused(2, new RegExp(`${option.split('=')[0]} does nothing with ${action[0]}`), ...action, option);
        await refused(2, /an empty target/, v10, '--channel', 'stable', '');
        await refused(2, /an empty target/, '--check', '');
        await refused(2, /can only be read/, v10, '--channel', 'stable', 'http://127.0.0.1:1/x');
        await refused(2, /name or password/, '--check', 'http://me:secret@127.0.0.1:1/x').then(r => assert.doesNotMatch(r.err, /secret/));
        assert.deepEqual(tree(dir), []);
        const help = await publish('--help');
        assert.equal(help.code, 0);
        for (const option of ['--check', '--promote', '--retract', '--table', '--allow-older', '--create-bucket', '--endpoint-url'])
            assert.ok(help.out.includes(option), option);
    });
});

test('progress on a terminal, none in a pipe', async () => {
    const line = `${OTTER} publish ${await image('1.0.0')} --channel stable ${folder()}`;
    const r = await run('script', ['-qec', line, '/dev/null']);
    assert.equal(r.code, 0, r.out);
    assert.match(r.out, /esp32c3-app-[0-9a-f]{12}\.bin +\[#{24}\] 100 %\r\n/);
    const quiet = await run('script', ['-qec', line.replace('stable', 'other') + ' --quiet', '/dev/null']);
    assert.doesNotMatch(quiet.out, /100 %/);
});

// ---- the manifest

// What an installer writes.
function install(dir, build, size = 0x400000) {
    const flash = Buffer.alloc(size, 0xff);
    for (const part of build.parts) fs.readFileSync(path.join(dir, part.path)).copy(flash, part.offset);
    return bench.file(flash);
}

test('a manifest from which chips start', async () => {
    const dir = folder(), stable = path.join(dir, 'stable'), chips = Object.keys(BOOT_AT);
    const loaders = (await Promise.all(chips.map(bootloader))).flatMap(f => ['--bootloader', f]);
    await good(...await images('1.0.0', ...chips), '--channel', 'stable', dir, ...loaders, '--table', TABLE,
        '--table', `esp32=${OTHER_TABLE}`);
    for (const version of ['1.0.0', '1.1.0']) {
        // Boot loader and table are the last release's.
        if (version === '1.1.0') await good(...await images(version, ...chips), '--channel', 'stable', dir, '--notes', 'new');
        const manifest = read(stable, 'manifest.json');
        assert.deepEqual([manifest.name, manifest.version, manifest.new_install_prompt_erase], ['demo', version, true]);
        assert.deepEqual(manifest.builds.map(b => b.chipFamily).sort(), ['ESP32', 'ESP32-C3', 'ESP32-P4']);
        for (const build of manifest.builds) {
            const chip = build.chipFamily.toLowerCase().replace('-', ''), app = read(stable, `${chip}.json`);
            const [otadata, slot] = PLACES[chip === 'esp32' ? OTHER_TABLE : TABLE];
            assert.deepEqual(build.parts.map(p => p.offset), [BOOT_AT[chip], 0x8000, otadata, slot]);
            assert.equal(build.parts[3].path, app.path);
            assert.deepEqual([build.ota.path, build.otter.sha256, build.otter.size], [app.path, app.sha256, app.size]);
            for (const part of build.parts) {
                const end = part.offset + fs.statSync(path.join(stable, part.path)).size;
                assert.ok(end <= NVS || part.offset >= otadata, 'settings are left alone');
            }
            const boots = await otter(['flash', 'boot', install(stable, build), '--json']);
            assert.equal(boots.code, 0, boots.out);
            assert.equal((await in_order(stable))[chip], version);
        }
    }
    assert.equal((await check(stable)).manifest, true);
});

test('a manifest has chips of one version only', async () => {
    const dir = folder(), stable = path.join(dir, 'stable');
    const loaders = (await Promise.all(['esp32', 'esp32c3'].map(bootloader))).flatMap(f => ['--bootloader', f]);
    const families = () => read(stable, 'manifest.json').builds.map(b => b.chipFamily);
    await good(...await images('1.0.0', 'esp32', 'esp32c3'), '--channel', 'stable', dir, ...loaders, '--table', TABLE);
    await good(await image('1.1.0', 'esp32c3'), '--channel', 'stable', dir);
    assert.deepEqual([families(), read(stable, 'manifest.json').version], [['ESP32-C3'], '1.1.0']);
    await good(await image('1.1.0', 'esp32'), '--channel', 'stable', dir);
    assert.deepEqual(families(), ['ESP32', 'ESP32-C3']);
    const r = await publish(await image('1.0.0'), '--channel', 'half', dir, '--table', TABLE);
    assert.equal(r.code, 0);
    assert.match(r.err, /manifest\.json is without 1 of the chips, as their boot loader or table is not known/);
    assert.ok(!fs.existsSync(path.join(dir, 'half/manifest.json')));
});

// ---- promote and retract

test('promoted, and taken back', async () => {
    const dir = folder(), testing = path.join(dir, 'testing'), stable = path.join(dir, 'stable');
    const loaders = ['--bootloader', await bootloader('esp32c3')];
    await good(await image('1.0.0'), '--channel', 'stable', dir, ...loaders, '--table', TABLE);
    await good(await image('1.1.0'), '--channel', 'testing', dir, ...loaders, '--table', TABLE);
    await good(await image('1.2.0'), '--channel', 'testing', dir, '--table', OTHER_TABLE);
    await good(await image('1.3.0'), '--channel', 'testing', dir, '--notes', 'tested');
    assert.equal(read(testing, 'esp32c3.json').min_version, '1.2.0');
    const kept = snapshot(testing);
    const r = await publish('--promote', 'testing', 'stable', dir);
    assert.match(r.out, /stable: promoted 1\.3\.0\n/, r.err);
    assert.deepEqual(snapshot(testing), kept);
    // In this channel it is this release that brings the other table.
    const { requires_full_flash: full, min_version: min, notes, version } = read(stable, 'esp32c3.json');
    assert.deepEqual([version, full, min, notes], ['1.3.0', true, undefined, 'tested']);
    fs.rmSync(testing, { recursive: true });
    assert.deepEqual(await in_order(stable), { esp32c3: '1.3.0' });
    assert.equal(read(stable, 'manifest.json').version, '1.3.0');

    const back = await publish('--retract', '--channel', 'stable', dir);
    assert.match(back.out, /retracted 1\.3\.0\n {2}esp32c3 +1\.0\.0/);
    assert.deepEqual(await in_order(stable), { esp32c3: '1.0.0' });
    assert.equal(read(stable, 'manifest.json').version, '1.0.0');
    // A release that was taken back counts for nothing: its version may come again, and its table is not the last.
    await good(await image('1.3.0', 'esp32c3', { seed: 5 }), '--channel', 'stable', dir, '--table', TABLE);
    assert.equal(read(stable, 'esp32c3.json').requires_full_flash, undefined);
    await publish('--retract', '--channel', 'stable', dir);
    const last = await publish('--retract', '--channel', 'stable', dir);
    assert.match(last.out, /retracted 1\.0\.0\n {2}esp32c3 +nothing\n/);
    assert.ok(!fs.existsSync(path.join(stable, 'esp32c3.json')) && !fs.existsSync(path.join(stable, 'manifest.json')));
    await refused(6, /nothing that this tool has published/, '--retract', '--channel', 'stable', dir);
    await refused(6, /there is no channel/, '--promote', 'nothing', 'stable', dir);
});

test("each chip's newest is promoted", async () => {
    const dir = folder(), testing = path.join(dir, 'testing'), stable = path.join(dir, 'stable');
    await good(...await images('1.0.0', 'esp32', 'esp32c3', 'esp32p4'), '--channel', 'testing', dir);
    await good(await image('1.1.0'), '--channel', 'testing', dir);
    await good(...await images('0.9.0', 'esp32', 'esp32s3'), '--channel', 'stable', dir);
    const r = await publish('--promote', 'testing', 'stable', dir);
    assert.match(r.out, /promoted 1\.1\.0\n {2}esp32 +1\.0\.0.*\n {2}esp32c3 +1\.1\.0/, r.err);
    const both = { esp32: '1.0.0', esp32c3: '1.1.0', esp32p4: '1.0.0' };
    assert.deepEqual(await in_order(testing), both);
    assert.deepEqual(await in_order(stable), { ...both, esp32s3: '0.9.0' });
    await good('--promote', 'testing', 'stable', dir);
    // Nothing at all goes if a chip's release is older than what is there.
    await good(await image('1.2.0', 'esp32'), '--channel', 'stable', dir);
    await good(await image('1.3.0'), '--channel', 'testing', dir);
    const before = snapshot(stable);
    await refused(4, /1\.0\.0 is not newer than 1\.2\.0, which esp32 is offered/, '--promote', 'testing', 'stable', dir);
    assert.deepEqual(snapshot(stable), before);
});

test('publishers of one folder wait for each other', async () => {
    const dir = folder(), chips = ['esp32', 'esp32c3', 'esp32p4', 'esp32s3'];
    const files = await images('1.0.0', ...chips);
    const lines = await Promise.all(files.map(f => publish(f, '--channel', 'stable', dir)));
    for (const r of lines) assert.equal(r.code, 0, r.err);
    assert.deepEqual(Object.keys(await in_order(path.join(dir, 'stable'))).sort(), chips);
    assert.deepEqual(read(dir, 'stable/releases.json').releases.map(r => Object.keys(r.builds).sort()), [chips]);
    const stable = path.join(dir, 'stable'), other = spawn('flock', [stable, 'cat'], { stdio: ['pipe', 'ignore', 'ignore'] });
    try {
        await until('the lock is taken', async () => (await run('flock', ['-n', stable, 'true'])).code === 1);
        const waiting = publish('--retract', '--channel', 'stable', dir);
        assert.equal(await Promise.race([waiting, sleep(200)]), undefined);
        other.stdin.end();
        const r = await waiting;
        assert.deepEqual([r.code, r.err], [0, `otter: ${stable}: another publisher is at work; waiting for it to end\n`]);
    } finally {
        other.kill();
    }
});

test('said again for one chip, a release leaves the others where they were', async () => {
    const dir = folder(), into = ['--channel', 'stable', dir];
    const v10 = await images('1.0.0', 'esp32', 'esp32c3');
    await good(...v10, ...into);
    for (const version of ['1.1.0', '1.2.0']) await good(await image(version), ...into);
    await good(v10[0], ...into);
    await good(await image('1.3.0'), ...into);
    const r = await publish('--retract', ...into);
    assert.match(r.out, /retracted 1\.3\.0\n {2}esp32 +1\.0\.0.*\n {2}esp32c3 +1\.2\.0/, r.err);
});

test('what is not in order is not promoted', async () => {
    const dir = folder();
    await good(await image('1.1.0'), '--channel', 'testing', dir);
    await good(await image('1.0.0'), '--channel', 'stable', dir);
    const before = snapshot(path.join(dir, 'stable'));
    const file = path.join(dir, 'testing', read(dir, 'testing/esp32c3.json').path), bytes = fs.readFileSync(file);
    bytes[1000] ^= 4;
    fs.writeFileSync(file, bytes);
    await refused(3, /\(wrong_digest\)[^]*not in order, so nothing of it is promoted/, '--promote', 'testing', 'stable', dir);
    assert.deepEqual(snapshot(path.join(dir, 'stable')), before);
});

// ---- reading back

describe('what --check finds', () => {
    let origin;
    before(async () => {
        origin = folder();
        const loaders = (await Promise.all(['esp32', 'esp32c3'].map(bootloader))).flatMap(f => ['--bootloader', f]);
        await good(...await images('1.0.0', 'esp32', 'esp32c3'), '--channel', 'stable', origin, ...loaders, '--table', TABLE);
        await good(...await images('1.1.0', 'esp32', 'esp32c3'), '--channel', 'stable', origin);
    });

    const edit = (file, change) => {
        const o = read(file);
        change(o);
        fs.writeFileSync(file, JSON.stringify(o));
    };
    const bytes_of = (file, change) => {
        const b = fs.readFileSync(file);
        fs.writeFileSync(file, change(b) ?? b);
    };
    const app = dir => path.join(dir, read(dir, 'esp32c3.json').path);
    const part = (dir, i) => {
        const build = read(dir, 'manifest.json').builds.find(b => b.chipFamily === 'ESP32-C3');
        return path.join(dir, build.parts[i].path);
    };
    const c3 = o => o.builds.find(b => b.chipFamily === 'ESP32-C3');

    // [what was done, the finding's file, its error, the exit status]
    const cases = {
        'a flipped bit': [d => bytes_of(app(d), b => { b[70000] ^= 16; }), /app/, 'wrong_digest', 3],
        'a cut image': [d => bytes_of(app(d), b => b.subarray(0, -100)), /app/, 'wrong_size', 6],
        'a longer image': [d => bytes_of(app(d), b => Buffer.concat([b, Buffer.alloc(16)])), /app/, 'wrong_size', 6],
        'no image': [d => fs.rmSync(app(d)), /app/, 'not_found', 6],
        "the other release's image": [d => edit(path.join(d, 'esp32c3.json'), o => {
            const old = read(d, 'releases.json').releases[0].builds.esp32c3.app;
            Object.assign(o, { path: old.path, size: old.size, sha256: old.sha256 });
        }), /app/, 'wrong_version', 4],
        "the other chip's image": [d => fs.copyFileSync(path.join(d, 'esp32.json'), path.join(d, 'esp32c3.json')), /app/, 'wrong_chip', 3],
        'no descriptor': [d => fs.rmSync(path.join(d, 'esp32c3.json')), /esp32c3\.json/, 'not_found', 6],
        'an empty descriptor': [d => fs.writeFileSync(path.join(d, 'esp32c3.json'), ''), /esp32c3\.json/, 'bad_descriptor', 3],
        'a descriptor in single quotes': [d => fs.writeFileSync(path.join(d, 'esp32c3.json'), "{'version': '1.1.0', 'path': 'x'}"), /esp32c3\.json/, 'bad_descriptor', 3],
        'a descriptor without path': [d => edit(path.join(d, 'esp32c3.json'), o => { delete o.path; }), /esp32c3\.json/, 'bad_descriptor', 3],
        'a version that is a number': [d => edit(path.join(d, 'esp32c3.json'), o => { o.version = 1.1; }), /esp32c3\.json/, 'bad_descriptor', 3],
        'a path out of the channel': [d => {
            fs.copyFileSync(app(d), path.join(d, '../outside.bin'));
            edit(path.join(d, 'esp32c3.json'), o => { o.path = '../outside.bin'; });
        }, /outside/, 'not_found', 6],
        'a path from the root': [d => edit(path.join(d, 'esp32c3.json'), o => { o.path = app(d); }), /app/, 'not_found', 6],
        'a path into a bucket': [d => edit(path.join(d, 'esp32c3.json'), o => { o.path = 's3://bucket/key'; }), /esp32c3\.json/, 'bad_descriptor', 3],
        'a path to a file by URL': [d => edit(path.join(d, 'esp32c3.json'), o => { o.path = `file://${app(d)}`; }), /esp32c3\.json/, 'bad_descriptor', 3],
        'a path that is a folder': [d => edit(path.join(d, 'esp32c3.json'), o => { o.path = '1.1.0'; }), /1\.1\.0/, 'too_big', 4],
        'a path with escapes for the terminal': [d => edit(path.join(d, 'manifest.json'), o => { c3(o).parts[0].path = '\x1b[2Jx'; }), /^\?\[2Jx$/, 'not_found', 6],
        // As strict as devices are.
        ...Object.fromEntries(Object.entries({ size: '102736', sha256: 5, path: 'with blanks.bin', requires_full_flash: 'yes', min_version: '1.0.0-'.padEnd(32, 'x') })
            .map(([key, value]) => [`a descriptor whose ${key} is ${value}`, [d => edit(path.join(d, 'esp32c3.json'), o => { o[key] = value; }), /esp32c3\.json/, 'bad_descriptor', 3]])),
        'a damaged log': [d => fs.writeFileSync(path.join(d, 'releases.json'), '{"schema": 1'), /releases\.json/, 'bad_descriptor', 3],
        'an empty manifest': [d => fs.writeFileSync(path.join(d, 'manifest.json'), '{}'), /manifest\.json/, 'bad_descriptor', 3],
        "the manifest's version": [d => edit(path.join(d, 'manifest.json'), o => { o.version = '1.0.0'; }), /manifest\.json/, 'wrong_version', 4],
        'a manifest of the last release': [d => {
            const o = read(d, 'manifest.json'), { builds } = read(d, 'releases.json').releases[0];
            o.version = '1.0.0';
            for (const [chip, b] of Object.entries({ esp32: o.builds[0], esp32c3: o.builds[1] })) b.parts[3].path = builds[chip].app.path;
            fs.writeFileSync(path.join(d, 'manifest.json'), JSON.stringify(o));
        }, /manifest\.json/, 'wrong_version', 4],
        'a manifest without a chip': [d => edit(path.join(d, 'manifest.json'), o => { o.builds.pop(); }), /manifest\.json/, 'not_found', 6],
        'no manifest': [d => fs.rmSync(path.join(d, 'manifest.json')), /manifest\.json/, 'not_found', 6],
        'an unknown chip': [d => edit(path.join(d, 'manifest.json'), o => { c3(o).chipFamily = 'ESP32-X9'; }), /manifest\.json/, 'unknown_chip', 3],
        'a boot loader where another chip has it': [d => edit(path.join(d, 'manifest.json'), o => { c3(o).parts[0].offset = 0x1000; }), /manifest\.json/, 'bad_magic', 3],
        'a damaged boot loader': [d => bytes_of(part(d, 0), b => { b[300] ^= 1; }), /manifest\.json/, 'bad_checksum', 3],
        'a damaged table': [d => bytes_of(part(d, 1), b => { b[40] ^= 1; }), /manifest\.json/, 'table_bad_md5', 3],
        'an app beside its slot': [d => edit(path.join(d, 'manifest.json'), o => { c3(o).parts[3].offset = 0x20000; }), /manifest\.json/, 'bad_magic', 3],
        'parts that overlap': [d => edit(path.join(d, 'manifest.json'), o => { c3(o).parts[2].offset = 0x8800; }), /manifest\.json/, 'too_big', 4],
        'a part behind any flash': [d => edit(path.join(d, 'manifest.json'), o => { c3(o).parts[3].offset = 0x1fffff0; }), /manifest\.json/, 'too_big', 4],
        'one merged image, over the settings': [d => {
            const flash = Buffer.alloc(0x40000, 0xff), build = c3(read(d, 'manifest.json'));
            for (const p of build.parts) fs.readFileSync(path.join(d, p.path)).copy(flash, p.offset);
            fs.writeFileSync(path.join(d, 'merged.bin'), flash);
            edit(path.join(d, 'manifest.json'), o => { c3(o).parts = [{ path: 'merged.bin', offset: 0 }]; });
        }, /manifest\.json/, 'table_out_of_flash', 3],
        'a part without offset': [d => edit(path.join(d, 'manifest.json'), o => { delete c3(o).parts[1].offset; }), /manifest\.json/, 'bad_descriptor', 3],
    };
    for (const [what, [change, file, error, code]] of Object.entries(cases))
        test(what, async () => {
            const dir = path.join(folder(), 'stable');
            fs.cpSync(path.join(origin, 'stable'), dir, { recursive: true });
            await in_order(dir);
            change(dir);
            const r = await check(dir);
            const found = r.findings.find(f => f.error === error);
            assert.ok(found, JSON.stringify(r.findings));
            assert.match(found.file, file);
            assert.deepEqual([r.code, r.result], [code, 'failed']);
            const said = await publish('--check', dir);
            assert.deepEqual([said.code, said.out], [code, '']);
            assert.match(said.err, new RegExp(`\\(${error}\\)|: `));
            assert.doesNotMatch(said.err, /\x1b/);
        });

    test('no channel', async () => {
        await refused(6, /there is no channel here/, '--check', folder());
        await refused(6, /there is no channel here/, '--check', '/nonexistent');
    });
});

// ---- behind URLs

const servers = [];
after(() => {
    for (const s of servers) {
        s.closeAllConnections();
        s.close();
    }
});

function serve(handler, options) {
    const server = options ? https.createServer(options, handler) : http.createServer(handler);
    servers.push(server);
    return new Promise(done => server.listen(0, '127.0.0.1', () => {
        done(`${options ? 'https' : 'http'}://127.0.0.1:${server.address().port}`);
    }));
}
const files_of = dir => (request, reply) => {
    const file = path.join(dir, path.normalize(decodeURIComponent(request.url.split('?')[0])));
    const there = fs.existsSync(file) && fs.statSync(file).isFile();
    reply.writeHead(there ? 200 : 404);
    reply.end(there ? fs.readFileSync(file) : 'nothing here');
};

test('a channel behind a URL, as a device sees it', async () => {
    const dir = folder(), asked = [];
    await good(...await images('1.1.0', 'esp32', 'esp32c3'), '--channel', 'stable', dir);
    const url = await serve((request, reply) => {
        asked.push(request.url);
        if (request.url.startsWith('/moved/')) {
            reply.writeHead(302, { Location: request.url.replace('/moved', '') });
            return reply.end();
        }
        if (request.url.startsWith('/loop/')) {
            reply.writeHead(302, { Location: request.url });
            return reply.end();
        }
        // In chunks, without a length.
        return files_of(dir)(request, reply);
    });
    const both = { esp32: '1.1.0', esp32c3: '1.1.0' };
    assert.deepEqual(await in_order(`${url}/stable`), both);
    assert.deepEqual(await in_order(`${url}/stable/`), both);
    assert.deepEqual(await in_order(url, '--channel', 'stable'), both);
    assert.deepEqual(await in_order(`${url}/stable/esp32c3.json`), { esp32c3: '1.1.0' });
    assert.deepEqual(await in_order(`${url}/moved/stable`), both);
    assert.ok(asked.every(u => !u.includes('//')));
    await refused(6, /redirect/, '--check', `${url}/loop/stable/esp32c3.json`);
    await refused(6, /there is no channel here/, '--check', `${url}/unstable`);
    await refused(6, /\(connection_failed\)/, '--check', 'http://127.0.0.1:1/stable/esp32c3.json');
    // Without a log, as others publish: every chip's name is tried.
    fs.rmSync(path.join(dir, 'stable/releases.json'));
    assert.deepEqual(await in_order(`${url}/stable`), both);
});

test('paths that are URLs', async () => {
    const dir = folder();
    const url = await serve(files_of(dir));
    await good(await image('1.0.0'), '--channel', 'stable', dir, '--base-url', `${url}/`, '--table', TABLE, '--bootloader', await bootloader('esp32c3'));
    const o = read(dir, 'stable/esp32c3.json');
    assert.match(o.path, new RegExp(`^${url}/stable/1\\.0\\.0/esp32c3-app-[0-9a-f]{12}\\.bin$`));
    assert.ok(read(dir, 'stable/manifest.json').builds[0].parts.every(p => p.path.startsWith(`${url}/stable/`)));
    assert.deepEqual(await in_order(path.join(dir, 'stable')), { esp32c3: '1.0.0' });
    // Read back from where devices do: a server that has kept the old one is found out.
    const old = folder();
    fs.cpSync(dir, old, { recursive: true });
    const stale = await serve(files_of(old));
    const r = await publish(await image('1.1.0'), '--channel', 'stable', dir, '--base-url', stale);
    assert.equal(r.code, 4);
    assert.match(r.err, /offers 1\.0\.0, not the 1\.1\.0 that was published.*\(wrong_version\)/);
    // A secret in a URL is not repeated.
    fs.writeFileSync(path.join(dir, 'esp32c3.json'), JSON.stringify({ version: '1.0.0', path: `${url}/x.bin?X-Amz-Signature=s3cr3t` }));
    const secret = await refused(6, /x\.bin: the server answers HTTP 404/, '--check', `${dir}/esp32c3.json`);
    assert.doesNotMatch(secret.err, /s3cr3t/);
});

test('all that devices take, and nothing else', async () => {
    const dir = folder(), stable = path.join(dir, 'stable');
    const loaders = (await Promise.all(['esp32', 'esp32c3'].map(bootloader))).flatMap(f => ['--bootloader', f]);
    await good(...await images('1.1.0', 'esp32', 'esp32c3'), '--channel', 'stable', dir, ...loaders, '--table', OTHER_TABLE);
    const url = await serve((request, reply) => {
        const [, how] = request.url.split('/');
        if (request.url === '/latest/esp32c3.json') {
            reply.writeHead(302, { Location: request.url.replace('latest', 'stable') });
            return reply.end();
        }
        if (how !== 'packed') return files_of(dir)(request, reply);
        const bytes = fs.readFileSync(path.join(stable, request.url.slice('/packed/'.length)));
        const packs = /gzip/.test(request.headers['accept-encoding']);
        reply.writeHead(200, packs ? { 'Content-Encoding': 'gzip' } : {});
        return reply.end(packs ? gzipSync(bytes) : bytes);
    });
    assert.deepEqual(await in_order(`${url}/packed/esp32c3.json`), { esp32c3: '1.1.0' });
    // Paths are relative to where redirects have led.
    assert.deepEqual(await in_order(`${url}/latest/esp32c3.json`), { esp32c3: '1.1.0' });
    // Manifests are descriptors, too: with "ota", and without it by the part where the table has the app.
    const both = { esp32: '1.1.0', esp32c3: '1.1.0' };
    const manifest = path.join(stable, 'manifest.json'), o = read(manifest);
    for (const where of [`${url}/stable`, `${url}/packed`, stable]) assert.deepEqual(await in_order(`${where}/manifest.json`), both);
    for (const b of o.builds) delete b.ota;
    fs.writeFileSync(manifest, JSON.stringify(o));
    for (const where of [`${url}/stable`, stable]) assert.deepEqual(await in_order(`${where}/manifest.json`), both);
    o.builds[1].parts[3].offset = 0x30000;
    fs.writeFileSync(manifest, JSON.stringify(o));
    await refused(3, /manifest\.json: no device takes it: no part lies where the device's app begins/, '--check', `${url}/stable/manifest.json`);
    fs.writeFileSync(manifest, JSON.stringify({ version: '1.1.0', builds: [{ chipFamily: 'ESP8266', parts: [] }] }));
    await refused(4, /has none for any ESP32.*\(no_build\)/, '--check', manifest);
    // Nothing is fetched for what needs a cable.
    fs.writeFileSync(path.join(dir, 'cable.json'), '{"version": "2.0.0", "requires_full_flash": true}');
    assert.deepEqual(Object.values(await in_order(path.join(dir, 'cable.json'))), ['2.0.0']);
});

test('read back from a mirror that lags behind', async () => {
    const dir = folder(), mirror = folder();
    const url = await serve(files_of(mirror));
    const again = change => { fs.rmSync(mirror, { recursive: true }); fs.cpSync(dir, mirror, { recursive: true }); change?.(path.join(mirror, 'stable')); };
    const parts = ['--table', TABLE, '--bootloader', await bootloader('esp32')];
    const into = ['--channel', 'stable', dir, '--base-url', url];
    await good(await image('1.0.0', 'esp32'), '--channel', 'stable', dir, ...parts);
    again();
    // Devices would not find the new chip's descriptor there.
    const lags = await publish(await image('1.0.0'), ...into);
    assert.equal(lags.code, 6);
    assert.match(lags.err, /esp32c3\.json: the server answers HTTP 404/);
    again();
    const v11 = await images('1.1.0', 'esp32', 'esp32c3');
    assert.equal((await publish(...v11, ...into)).code, 4);
    again();
    await good(...v11, ...into);
    // All descriptors are new, the manifest is old, or gone.
    again(d => fs.writeFileSync(path.join(d, 'manifest.json'), JSON.stringify({ ...read(d, 'manifest.json'), version: '1.0.0' })));
    assert.match((await publish(...v11, ...into)).err, /manifest\.json: it installs version 1\.0\.0, devices are offered 1\.1\.0/);
    again(d => fs.rmSync(path.join(d, 'manifest.json')));
    assert.match((await publish(...v11, ...into)).err, /manifest\.json: it is missing, with ESP32 of 1\.1\.0/);
    again();
    const kept = await publish('--retract', '--channel', 'stable', dir);
    assert.deepEqual([kept.code, kept.out], [4, '']);
    assert.match(kept.err, /esp32c3\.json: it offers 1\.1\.0, not the 1\.0\.0/);
    again();
    assert.match((await publish('--retract', '--channel', 'stable', dir)).err, /esp32c3\.json: it offers 1\.0\.0, which was taken back/);
});

test('over TLS only with a certificate that holds', async () => {
    const dir = folder(), pem = name => path.join(bench.dir, name);
    await run('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=test',
        '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', pem('tls.key'), '-out', pem('tls.pem')]);
    await good(await image('1.0.0'), '--channel', 'stable', dir);
    const url = await serve(files_of(dir), { key: fs.readFileSync(pem('tls.key')), cert: fs.readFileSync(pem('tls.pem')) });
    await refused(6, /certificate.*\(connection_failed\)/, '--check', `${url}/stable/esp32c3.json`);
    assert.deepEqual(await in_order(`${url}/stable`, '--cacert', pem('tls.pem')), { esp32c3: '1.0.0' });
    // From https nothing leads to http.
    const plain = await serve(files_of(dir));
    const leads = await serve((request, reply) => { reply.writeHead(302, { Location: plain + request.url }); reply.end(); },
        { key: fs.readFileSync(pem('tls.key')), cert: fs.readFileSync(pem('tls.pem')) });
    await refused(6, /\(connection_failed\)/, '--check', `${leads}/stable/esp32c3.json`, '--cacert', pem('tls.pem'));
    const o = read(dir, 'stable/esp32c3.json');
    fs.writeFileSync(path.join(dir, 'stable/esp32c3.json'), JSON.stringify({ ...o, path: `${plain}/stable/${o.path}` }));
    await refused(3, /from https to http.*\(bad_descriptor\)/, '--check', `${url}/stable/esp32c3.json`, '--cacert', pem('tls.pem'));
});

// ---- a bucket

// As Amazon's answers where credentials lack rights: buckets are not to be made, and without listing nobody is told
// what is not there.
test('a bucket without all rights', async () => {
    const objects = new Map(), may = { list: true };
    const url = await serve((request, reply) => {
        const say = (status, code) => { reply.writeHead(status); reply.end(`<Error><Code>${code}</Code><Message>No</Message></Error>`); };
        const [, bucket, key] = request.url.match(/^\/([^/]+)\/?(.*)$/), body = [];
        if (bucket !== 'given') return key || request.method !== 'PUT' ? say(404, 'NoSuchBucket') : say(403, 'AccessDenied');
        if (may.nothing || (request.method === 'PUT' && !key)) return say(403, 'AccessDenied');
        if (request.method === 'GET' && objects.has(key)) return reply.end(objects.get(key));
        if (request.method === 'GET') return may.list ? say(404, 'NoSuchKey') : say(403, 'AccessDenied');
        if (request.method === 'DELETE') return objects.delete(key), reply.end();
        if (may.before_put?.(key) === 'deny') return say(403, 'AccessDenied');
        return request.on('data', d => body.push(d)).on('end', () => { objects.set(key, Buffer.concat(body)); reply.end(); });
    });
    const at = (...args) => otter(['publish', ...args], { env: { AWS_ENDPOINT_URL: url, AWS_ACCESS_KEY_ID: 'me', AWS_SECRET_ACCESS_KEY: 'x',
        AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' } });
    const expect = async (code, says, ...args) => {
        const r = await at(...args);
        assert.equal(r.code, code, r.err);
        assert.match(r.err, says);
    };
    const v10 = await image('1.0.0');
    may.list = false;
    await expect(4, /releases\.json: AccessDenied.*s3:ListBucket/, v10, '--channel', 'stable', 's3://given');
    may.list = true;
    await expect(0, /^$/, v10, '--channel', 'stable', 's3://given', '--create-bucket');
    await expect(0, /^$/, '--check', 's3://given/stable');
    await expect(4, /bucket other is not there.*s3:CreateBucket/, v10, '--channel', 'stable', 's3://other', '--create-bucket');
    // Cut off before it is offered, a release counts for nothing; offered it counts, whatever came after.
    const to = ['--channel', 'stable', 's3://given'];
    may.before_put = key => key.endsWith('/esp32c3.json') && 'deny';
    await expect(4, /esp32c3\.json: AccessDenied/, await image('1.1.0'), ...to);
    may.before_put = undefined;
    await expect(0, /^$/, '--check', 's3://given/stable');
    await expect(0, /^$/, await image('1.2.0'), ...to);
    let written = 0;
    may.before_put = key => key.endsWith('/releases.json') && ++written === 2 && 'deny';
    await expect(4, /releases\.json: AccessDenied/, await image('1.3.0'), ...to);
    may.before_put = undefined;
    await expect(0, /^$/, await image('1.4.0'), ...to);
    for (const version of ['1.3.0', '1.2.0', '1.0.0']) {
        await expect(0, /^$/, '--retract', ...to);
        assert.equal(JSON.parse(objects.get('stable/esp32c3.json')).version, version);
    }
    // Another publisher, who has read the log before we wrote it, writes it after us.
    const log = objects.get('stable/releases.json');
    may.before_put = key => { if (key.endsWith('/esp32c3.json')) objects.set('stable/releases.json', log); };
    await expect(4, /another publisher has written it at the same time, without this release; publish it again \(busy\)/, await image('2.0.0'), ...to);
    may.before_put = undefined;
    await expect(0, /^$/, await image('2.0.0'), ...to);
    may.nothing = true;
    await expect(4, /^otter: s3:\/\/given\/stable: access to all of it is denied.*AccessDenied.*\(unauthorized\)\n$/, '--check', 's3://given/stable');
});

// Passes bytes on to a server until `limit` of them have come from the client; then does `act` and lets nobody in.
class Cutter {
    constructor(target, limit, act = () => {}) {
        this.passed = 0;
        this.sockets = new Set();
        this.server = net.createServer(client => {
            if (this.passed > limit) return client.destroy();
            const there = net.connect(new URL(target).port, '127.0.0.1');
            for (const s of [client, there]) {
                this.sockets.add(s);
                s.on('error', () => {});
                s.on('close', () => { client.destroy(); there.destroy(); });
            }
            there.pipe(client);
            client.on('data', d => {
                const room = limit - this.passed;
                this.passed += d.length;
                there.write(room >= d.length ? d : d.subarray(0, Math.max(room, 0)));
                if (this.passed > limit) this.cut(act);
            });
            return client;
        });
    }

    cut(act) {
        act();
        for (const s of this.sockets) s.destroy();
    }

    async open() {
        await new Promise(done => this.server.listen(0, '127.0.0.1', done));
        this.url = `http://127.0.0.1:${this.server.address().port}`;
        return this;
    }

    close() {
        for (const s of this.sockets) s.destroy();
        this.server.close();
    }
}

describe('in a bucket', () => {
    let s3;
    before(async () => { s3 = await start_s3(); });
    after(() => s3?.stop());

    const at = (env, ...args) => otter(['publish', ...args], { env: { ...s3.env, ...env }, ms: 60000 });
    const ok = async (...args) => {
        const r = await at({}, ...args, '--json');
        assert.deepEqual([r.code, r.err], [0, ''], r.out);
        return JSON.parse(r.out);
    };
    const offered = async (where, ...args) => {
        const r = await at({}, '--check', where, '--json', ...args), o = JSON.parse(r.out);
        assert.deepEqual([r.code, o.findings], [0, []]);
        return Object.fromEntries(o.builds.map(b => [b.chip, b.version]));
    };
    // Between descriptors and manifest this may still be the old one.
    const whole_but_manifest = async where => {
        const o = JSON.parse((await at({}, '--check', where, '--json')).out);
        for (const f of o.findings) assert.match(`${f.file} ${f.message}`, /^manifest\.json it installs version 1\.0\.0, devices are offered 1\.1\.0/);
        return Object.fromEntries(o.builds.map(b => [b.chip, b.version]));
    };
    const aws = async (...args) => {
        const r = await run('/usr/bin/aws', ['--endpoint-url', s3.url, ...args], { env: s3.env });
        assert.equal(r.code, 0, r.err);
        return r.out;
    };
    const fetched = async uri => {
        const url = (await otter(['presign', uri], { env: s3.env })).out.trim();
        const reply = await fetch(url);
        return { status: reply.status, headers: reply.headers, body: Buffer.from(await reply.arrayBuffer()) };
    };

    test('published, promoted, taken back', async () => {
        const target = 's3://releases/products/demo one';
        const v10 = await images('1.0.0', 'esp32', 'esp32c3'), v11 = await images('1.1.0', 'esp32', 'esp32c3');
        const missing = await at({}, ...v10, '--channel', 'stable', target);
        assert.equal(missing.code, 2);
        assert.match(missing.err, /NoSuchBucket.*--create-bucket makes it/);
        await ok(...v10, '--channel', 'stable', target, '--create-bucket', '--table', TABLE, '--bootloader', await bootloader('esp32'));
        await ok(...v11, '--channel', 'testing', target, '--create-bucket');
        assert.deepEqual(await offered(`${target}/stable`), { esp32: '1.0.0', esp32c3: '1.0.0' });
        assert.deepEqual(await offered(target, '--channel', 'testing'), { esp32: '1.1.0', esp32c3: '1.1.0' });

        const descriptor = await fetched(`${target}/stable/esp32c3.json`);
        assert.deepEqual([descriptor.status, descriptor.headers.get('content-type')], [200, 'application/json']);
        const o = JSON.parse(descriptor.body), bin = await fetched(`${target}/stable/${o.path}`);
        assert.ok(bin.body.equals(fs.readFileSync(v10[1])));
        assert.equal(bin.headers.get('content-type'), 'application/octet-stream');

        await ok('--promote', 'testing', 'stable', target);
        assert.deepEqual(await offered(`${target}/stable`), { esp32: '1.1.0', esp32c3: '1.1.0' });
        const older = await at({}, ...v10, '--channel', 'stable', target);
        assert.equal(older.code, 4);
        assert.match(older.err, /not newer than 1\.1\.0/);
        await ok('--retract', '--channel', 'stable', target);
        assert.deepEqual(await offered(`${target}/stable`), { esp32: '1.0.0', esp32c3: '1.0.0' });
        await ok('--retract', '--channel', 'testing', target);
        assert.equal((await fetched(`${target}/testing/esp32.json`)).status, 404);
        await ok(...v10, '--channel', 'at-the-root', 's3://releases');
        assert.deepEqual(await offered('s3://releases/at-the-root'), { esp32: '1.0.0', esp32c3: '1.0.0' });
    });

    test('a damaged object is found', async () => {
        const target = 's3://damaged';
        await ok(await image('1.0.0'), '--channel', 'stable', target, '--create-bucket');
        const { path: name } = JSON.parse((await fetched(`${target}/stable/esp32c3.json`)).body);
        const bytes = fs.readFileSync(await image('1.0.0'));
        bytes[5000] ^= 1;
        await aws('s3', 'cp', bench.file(bytes), `${target}/stable/${name}`);
        const r = await at({}, '--check', `${target}/stable`);
        assert.equal(r.code, 3);
        assert.match(r.err, /esp32c3-app-.*its SHA-256 is.*\(wrong_digest\)/);
        // Publishing it again mends it.
        await ok(await image('1.0.0'), '--channel', 'stable', target);
        assert.deepEqual(await offered(`${target}/stable`), { esp32c3: '1.0.0' });
    });

    test('credentials that are none, and no server', async () => {
        const line = [await image('1.0.0'), '--channel', 'stable', 's3://denied', '--create-bucket'];
        const wrong = await at({ AWS_SECRET_ACCESS_KEY: 'dontprintme' }, ...line);
        assert.equal(wrong.code, 4);
        assert.match(wrong.err, /SignatureDoesNotMatch.*AWS_SECRET_ACCESS_KEY/);
        const unknown = await at({ AWS_ACCESS_KEY_ID: 'nobody' }, ...line);
        assert.equal(unknown.code, 4);
        assert.match(unknown.err, /InvalidAccessKeyId|SignatureDoesNotMatch/);
        const none = await at({ AWS_ACCESS_KEY_ID: undefined, AWS_SECRET_ACCESS_KEY: undefined }, ...line);
        assert.equal(none.code, 4);
        assert.match(none.err, /there are no credentials/);
        const late = await run('faketime', ['-f', '-2h', OTTER, 'publish', ...line], { env: s3.env });
        assert.equal(late.code, 4);
        assert.match(late.err, /RequestTimeTooSkewed.*clock/);
        const nobody = await at({ AWS_ENDPOINT_URL: 'http://127.0.0.1:1' }, ...line);
        assert.equal(nobody.code, 6);
        assert.match(nobody.err, /\(connection_failed\)/);
        // A check says it once, and at once.
        for (const [why, code, env] of [[/SignatureDoesNotMatch.*AWS_SECRET_ACCESS_KEY/, 4, { AWS_SECRET_ACCESS_KEY: 'dontprintme' }],
            [/NoSuchBucket.*is that its name/, 2, {}], [/\(connection_failed\)/, 6, { AWS_ENDPOINT_URL: 'http://127.0.0.1:1' }]]) {
            const r = await at(env, '--check', 's3://nowhere/stable');
            assert.deepEqual([r.code, r.err.split('\n').length], [code, 2], r.err);
            assert.match(r.err, why);
        }
        for (const r of [wrong, unknown, late, nobody]) assert.doesNotMatch(r.out + r.err, new RegExp(`dontprintme|${s3.secret}|Signature=`));
    });

    test('cut anywhere, the channel is whole, and the next try gets there', async () => {
        const old = await images('1.0.0', 'esp32', 'esp32c3'), next = await images('1.1.0', 'esp32', 'esp32c3');
        const parts = ['--table', TABLE, '--bootloader', await bootloader('esp32'), '--bootloader', await bootloader('esp32c3')];
        const make = name => ok(...old, '--channel', name, 's3://cut', ...parts, '--create-bucket');
        const through = (proxy, name) => ['publish', ...next, '--channel', name, 's3://cut', '--endpoint', proxy.url];
        await make('whole');
        const whole = await new Cutter(s3.url, Infinity).open();
        assert.equal((await otter(through(whole, 'whole'), { env: s3.env })).code, 0);
        whole.close();

        // Here and there on the way, and closely where the small files are.
        const small = whole.passed - 12000;
        const cuts = [...Array.from({ length: 6 }, (_, i) => Math.round(small * i / 6)), ...Array.from({ length: 12 }, (_, i) => small + 900 * i)];
        const seen = new Set();
        const cut_at = async limit => {
            const name = `cut-${limit}`;
            await make(name);
            let child;
            const proxy = await new Cutter(s3.url, limit, () => child?.kill('SIGKILL')).open();
            // As if power had gone: nobody cleans up or tries again.
            child = spawn(OTTER, through(proxy, name), { env: { ...process.env, ...s3.env }, stdio: 'ignore' });
            await new Promise(done => child.once('close', done));
            proxy.close();
            const versions = await whole_but_manifest(`s3://cut/${name}`);
            for (const version of Object.values(versions)) assert.ok(['1.0.0', '1.1.0'].includes(version));
            assert.equal(Object.keys(versions).length, 2);
            seen.add(Object.values(versions).join(' '));
            await ok(...next, '--channel', name, 's3://cut');
            assert.deepEqual(await offered(`s3://cut/${name}`), { esp32: '1.1.0', esp32c3: '1.1.0' });
        };
        await Promise.all([0, 1].map(async lane => {
            for (const limit of cuts.filter((_, i) => i % 2 === lane)) await cut_at(limit);
        }));
        assert.ok(seen.has('1.0.0 1.0.0') && seen.size >= 2, [...seen].join(', '));
    });

    test('a connection that breaks once is made again', async () => {
        await ok(await image('1.0.0'), '--channel', 'stable', 's3://broken', '--create-bucket');
        let broken = 0;
        const server = net.createServer(client => {
            const there = net.connect(new URL(s3.url).port, '127.0.0.1');
            for (const s of [client, there]) s.on('error', () => {}).on('close', () => { client.destroy(); there.destroy(); });
            there.pipe(client);
            // Each request's first connection ends after some bytes.
            const breaks = broken++ % 2 === 0;
            client.on('data', d => breaks ? client.destroy() : there.write(d));
        });
        await new Promise(done => server.listen(0, '127.0.0.1', done));
        const r = await at({}, await image('1.1.0'), '--channel', 'stable', 's3://broken', '--endpoint', `http://127.0.0.1:${server.address().port}`);
        server.close();
        assert.equal(r.code, 0, r.err);
        assert.ok(broken >= 10);
        assert.deepEqual(await offered('s3://broken/stable'), { esp32c3: '1.1.0' });
    });
});
