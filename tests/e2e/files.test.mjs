// Files on the device, from outside: stored, read, listed, removed; refused; and what cuts, restarts and updates leave.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Bench, head, otter, until } from './device.mjs';

const FILES = '/api/v1/files/', UPLOAD = '/api/v1/firmware/upload', USR = { offset: 0x3b0000, size: 320 * 1024 };
const ANY = { '*': { behaviour: 'healthy', confirm_after_ms: 0 } }, CLUSTER = 4096;

const bench = new Bench();
after(() => bench.close());

const v10 = await bench.image('1.0.0'), v11 = await bench.image('1.1.0');
const device = options => bench.device({ image: v10, table: 'two_ota_usr', scenario: ANY, ...options });
const list = d => d.get(FILES);
const names = async d => (await list(d)).files.map(f => f.name).sort();
const path_of = name => FILES + encodeURIComponent(name);

// As bytes: {status, headers, body}.
const ask = async (d, method, target, { body, headers = {} } = {}) => {
    const reply = await fetch(d.url + target, { method, body, headers });
    return { status: reply.status, headers: reply.headers, body: Buffer.from(await reply.arrayBuffer()) };
};

const put = (d, name, body, headers) => ask(d, 'PUT', path_of(name), { body, headers });

async function stored(d, name, body) {
    const reply = await put(d, name, body);
    assert.equal(reply.status, 200, `${name}: ${reply.body}`);
    assert.equal(reply.headers.get('otter-result'), 'stored');
}

async function holds(d, name, body) {
    const reply = await ask(d, 'GET', path_of(name));
    assert.equal(reply.status, 200, `${name}: ${reply.body}`);
    assert.equal(reply.headers.get('content-type'), 'application/octet-stream');
    assert.ok(reply.body.equals(Buffer.from(body)), `${name}: other bytes, ${reply.body.length} of ${body.length}`);
}

async function refused(reply, status, error, words = /./) {
    const { status: got, headers, body } = await reply;
    assert.equal(got, status, `${body}`);
    assert.equal(headers.get?.('otter-result') ?? headers['otter-result'], error, `${body}`);
    assert.match(`${body}`, words);
}

// What act() does leaves the region's bytes as they were.
async function untouched(d, act) {
    const region = () => d.bytes().subarray(USR.offset, USR.offset + USR.size), before = Buffer.from(region());
    await act();
    assert.ok(region().equals(before), 'the region has changed');
}

describe('files', { concurrency: 2 }, () => {
    test('stored, listed, read, replaced, removed', async () => {
        const d = await device(), empty = await list(d);
        assert.deepEqual({ ...empty, free: 0 }, { state: 'ready', ...USR, free: 0, files: [] });
        assert.ok(empty.free > USR.size * 0.9, `${empty.free} bytes free`);
        const bodies = { none: Buffer.alloc(0), one: Buffer.from('x'), 'a page.html': Buffer.from('<script>alert(1)</script>'),
            'a cluster': randomBytes(CLUSTER), 'a little more': randomBytes(CLUSTER + 1), big: randomBytes(200000) };
        for (const [name, body] of Object.entries(bodies)) await stored(d, name, body);
        for (const [name, body] of Object.entries(bodies)) await holds(d, name, body);
        const now = await list(d), sizes = Object.fromEntries(now.files.map(f => [f.name, f.size]));
        assert.deepEqual(sizes, Object.fromEntries(Object.entries(bodies).map(([name, body]) => [name, body.length])));
        const taken = Object.values(bodies).reduce((n, body) => n + Math.ceil(body.length / CLUSTER) * CLUSTER, 0);
        assert.equal(now.free, empty.free - taken);
        assert.deepEqual((await d.status()).files, { state: 'ready', size: USR.size, free: now.free });

        await stored(d, 'big', 'small now');
        await holds(d, 'big', 'small now');
        for (const name of Object.keys(bodies)) {
            assert.equal((await ask(d, 'DELETE', path_of(name))).status, 200);
            await refused(ask(d, 'GET', path_of(name)), 404, 'not_found');
            await refused(ask(d, 'DELETE', path_of(name)), 404, 'not_found');
        }
        assert.deepEqual(await list(d), empty);
    });

    test('by POST, chunked, with Expect, HEAD, in pieces', async () => {
        const d = await device(), body = randomBytes(50000), file = bench.file(body);
        assert.equal((await d.curl(FILES + 'a', '--data-binary', '@' + file)).body, 'OK');
        assert.equal((await d.curl(FILES + 'b', '-T', file, '-H', 'Transfer-Encoding: chunked')).body, 'OK');
        const expected = await d.curl(FILES + 'c', '-T', file, '-H', 'Expect: 100-continue');
        assert.ok(expected.continued && expected.body === 'OK');
        const raw = d.raw();
        await raw.write(head('PUT', FILES + 'd', { 'Content-Length': body.length }));
        for (let at = 0, n = 1; at < body.length; at += n, n = at < 300 ? 1 : n * 7 % 3000 + 1)
            await raw.write(body.subarray(at, at + n));
        assert.equal((await raw.reply()).body, 'OK');
        for (const name of 'abcd') await holds(d, name, body);
        const looked = await d.curl(FILES + 'a', '-I');
        assert.equal(looked.headers['content-length'], '50000');
        assert.equal(looked.headers['x-content-type-options'], 'nosniff');
    });

    test('names', async t => {
        const d = await device();
        const good = ['a', 'A file, with (signs) & [more] + = ; ~ # $ @ ! \' ^.txt', 'ümläut.txt', '日本語', '😀.bin', 'x'.repeat(63),
            '-rf', 'a..b', 'ü'.repeat(31), '100%'];
        for (const name of good)
            await t.test(`taken: ${name}`, async () => {
                await stored(d, name, name);
                await holds(d, name, name);
                assert.ok((await names(d)).includes(name));
            });
        await t.test('two names that differ in case are one', async () => {
            await stored(d, 'CASE.txt', '1');
            await stored(d, 'case.TXT', '2');
            await holds(d, 'Case.Txt', '2');
        });
        await t.test('short names lead nowhere', async () => {
            await stored(d, 'a long name.html', 'long');
            await refused(ask(d, 'GET', FILES + 'ALONGN~1.HTM'), 404, 'not_found');
            await refused(ask(d, 'DELETE', FILES + 'ALONGN~1.HTM'), 404, 'not_found');
            await refused(ask(d, 'PUT', FILES + 'ALONGN~1.HTM', { body: 'x' }), 400, 'bad_file_name');
            await holds(d, 'a long name.html', 'long');
        });
        const bad = ['%00', 'a%00', 'a%00b', '%', 'a%', 'a%4', 'a%4g', '%2f', 'a%2Fb', 'a/b', 'a/', '/', '%2e', '..%2f', '.hidden',
            '.new', '.%3dname', 'end.', 'end%20', '%20a', 'a%5cb', 'a:b', 'c%3a', 'a*', '%3f', 'a%22b', 'a%3cb', 'a%3e', 'a%7c', 'a%0ab', '%7f',
            '%1b', '%ff', '%c3', '%c0%af', '%ed%a0%80', '%f4%90%80%80', '%e2%82', 'x'.repeat(64), '%c3%bc'.repeat(32)];
        for (const name of bad)
            await t.test(`refused: ${name}`, () => untouched(d, async () => {
                for (const method of ['GET', 'DELETE', 'PUT', 'POST']) {
                    const raw = d.raw();
                    await raw.write(head(method, FILES + name, { 'Content-Length': 1 }) + 'x');
                    await refused(raw.reply(), 400, 'bad_file_name', /1 to 63 bytes of UTF-8/);
                }
            }));
    });

    test('no room: 413 with the numbers, and the old file stays', async t => {
        const d = await device(), old = randomBytes(3000);
        await stored(d, 'old', old);
        const { free } = await list(d), much = randomBytes(free + 1), file = bench.file(much);
        const words = new RegExp(`It has ${free + 1} bytes, ${free} are free`);
        await t.test('announced', () => untouched(d, async () => {
            await refused(put(d, 'old', much), 413, 'files_full', words);
            await refused(d.curl(FILES + 'old', '-T', file, '-H', 'Expect: 100-continue'), 413, 'files_full', words);
            const raw = d.raw();
            await raw.write(head('PUT', FILES + 'old', { 'Content-Length': 99999999999, Expect: '100-continue' }));
            await refused(raw.reply(), 413, 'files_full', /99999999999 bytes/);
            const json = await put(d, 'new', much, { accept: 'application/json' });
            assert.equal(JSON.parse(json.body).error, 'files_full');
        }));
        await t.test('chunked', async () => {
            await refused(d.curl(FILES + 'old', '-T', file, '-H', 'Transfer-Encoding: chunked'), 413, 'files_full',
                new RegExp(`${free} bytes are free`));
            await holds(d, 'old', old);
            assert.equal((await list(d)).free, free);
            assert.deepEqual(await names(d), ['old']);
        });
        await t.test('what fits to the byte', async () => {
            await stored(d, 'all', much.subarray(1));
            await holds(d, 'all', much.subarray(1));
            assert.equal((await list(d)).free, 0);
            await refused(put(d, 'more', 'x'), 413, 'files_full');
        });
        await t.test('the refusal can be read behind 3 MB of body', async () => {
            const raw = d.raw(), sent = raw.write(Buffer.concat([Buffer.from(head('PUT', FILES + 'm', { 'Content-Length': 3 << 20 })),
                Buffer.alloc(3 << 20)]));
            await refused(raw.reply(), 413, 'files_full');
            await sent;
            assert.equal(raw.error, undefined);
        });
    });

    test('a body that breaks off leaves the old file, and one at a time is stored', async () => {
        const d = await device(), old = randomBytes(9000), { free } = await list(d);
        await stored(d, 'a', old);
        const raw = d.raw();
        await raw.write(head('PUT', FILES + 'a', { 'Content-Length': 50000 }));
        await raw.write(randomBytes(30000));
        // Once the device has taken bytes, another one is told so.
        const busy = await until('a store under way', async () => {
            const reply = await put(d, 'b', 'x');
            return reply.status !== 200 && reply;
        });
        await refused(busy, 409, 'files_busy', /Another file is being stored/);
        await refused(put(d, 'b', Buffer.alloc(400000)), 409, 'files_busy');
        await refused(ask(d, 'DELETE', FILES), 409, 'files_busy');
        await holds(d, 'a', old);
        raw.close();
        await until('the end of the broken one', async () => (await put(d, 'b', 'x')).status === 200);
        await holds(d, 'a', old);
        assert.deepEqual(await names(d), ['a', 'b']);
        assert.equal((await list(d)).free, free - 4 * CLUSTER);
    });

    test('who may', async () => {
        const d = await device({ env: { OTTER_TOKEN: 'sesame' }, http: { headers: { Authorization: 'Bearer sesame' } } });
        const auth = { authorization: 'Bearer sesame' };
        await untouched(d, async () => {
            for (const [method, target] of [['GET', FILES], ['GET', FILES + 'a'], ['PUT', FILES + 'a'], ['POST', FILES + 'a'],
                ['DELETE', FILES + 'a'], ['DELETE', FILES]]) {
                const body = method.startsWith('P') ? 'x' : undefined;
                await refused(ask(d, method, target, { body }), 401, 'unauthorized');
                await refused(ask(d, method, target, { body, headers: { authorization: 'Bearer sesam' } }), 401, 'unauthorized');
                const foreign = await d.curl(target, '-X', method, '-H', 'Authorization: Bearer sesame', '-H', 'Host: evil.example');
                await refused(foreign, 403, 'foreign_host');
                if (method === 'GET') continue;
                for (const header of ['Origin: http://evil.example', 'Sec-Fetch-Site: cross-site', 'Referer: http://evil.example/'])
                    await refused(d.curl(target, '-X', method, '-H', 'Authorization: Bearer sesame', '-H', header), 403,
                        'foreign_origin');
            }
        });
        assert.equal((await put(d, 'a', 'x', auth)).status, 200);
    });

    test('methods', async () => {
        const d = await device();
        for (const [target, method, allow] of [[FILES, 'PUT', 'GET, HEAD, DELETE'], [FILES, 'POST', 'GET, HEAD, DELETE'],
            [FILES + 'a', 'PATCH', 'GET, HEAD, POST, PUT, DELETE']]) {
            const reply = await ask(d, method, target);
            await refused(reply, 405, 'method_not_allowed');
            assert.equal(reply.headers.get('allow'), allow);
        }
        await refused(ask(d, 'GET', FILES.slice(0, -1)), 404, 'not_found');
    });

    test('emptied', async () => {
        const d = await device(), { free } = await list(d);
        for (const name of ['a', 'b', 'c']) await stored(d, name, randomBytes(5000));
        assert.equal((await ask(d, 'DELETE', FILES)).status, 200);
        assert.deepEqual(await list(d), { state: 'ready', ...USR, free, files: [] });
    });

    test('kept over restart, power off and update; stored while one is under way', async () => {
        const d = await device(), a = randomBytes(30000), b = randomBytes(12345);
        await stored(d, 'a', a);
        assert.equal((await ask(d, 'POST', '/api/v1/restart')).status, 200);
        await d.seen('the restart', s => s.boot_id === 2);
        await holds(d, 'a', a);
        await d.stop('SIGKILL');
        await d.start();
        await holds(d, 'a', a);

        const image = fs.readFileSync(v11), raw = d.raw();
        await raw.write(head('POST', UPLOAD, { 'Content-Length': image.length }));
        await raw.write(image.subarray(0, 50000));
        await d.seen('half an update', s => s.update.received === 50000);
        await holds(d, 'a', a);
        await stored(d, 'b', b);
        await raw.write(image.subarray(50000));
        assert.equal((await raw.reply()).body, 'OK');
        await d.runs('1.1.0');
        await holds(d, 'a', a);
        await holds(d, 'b', b);
    });

    test('several devices side by side', async () => {
        const all = await Promise.all([device(), device(), device(), device()]);
        const bodies = all.map(() => randomBytes(60000));
        await Promise.all(all.map((d, i) => stored(d, 'same name', bodies[i])));
        await Promise.all(all.map((d, i) => holds(d, 'same name', bodies[i])));
    });

    test('a region of 12 MiB; a download during which files change is broken off', async () => {
        const csv = bench.file('nvs,data,nvs,0x9000,16K\notadata,data,ota,0xd000,8K\nota_0,app,ota_0,0x10000,1M\n' +
            'ota_1,app,ota_1,,1M\nstore,data,fat,,12M\n', '.csv'), table = bench.file('');
        assert.equal((await otter(['table', 'build', csv, '-o', table, '--flash-size', '16M'])).code, 0);
        // More than the kernel keeps for a reader who does not read.
        const d = await device({ table, args: ['--flash-size', '16M'] }), big = randomBytes(11 << 20);
        await stored(d, 'big', big);
        await holds(d, 'big', big);
        const download = async meanwhile => {
            const raw = d.raw();
            raw.socket.pause();
            await raw.write(head('GET', FILES + 'big'));
            await sleep(300);
            await meanwhile();
            raw.socket.resume();
            await raw.closed;
            return raw.bytes.length - raw.bytes.indexOf('\r\n\r\n') - 4;
        };
        assert.equal(await download(() => list(d)), big.length);
        const came = await download(() => stored(d, 'small', 'x'));
        assert.ok(came > 4096 && came < big.length, `${came} bytes came`);
        await holds(d, 'big', big);
    });

    test('no region for files', async () => {
        const d = await device({ table: 'two_ota_large' });
        assert.equal((await d.status()).files, null);
        for (const [method, target] of [['GET', FILES], ['GET', FILES + 'a'], ['PUT', FILES + 'a'], ['DELETE', FILES + 'a'], ['DELETE', FILES]])
            await refused(ask(d, method, target, { body: method === 'PUT' ? 'x' : undefined }), 404, 'no_files',
                /no region of flash for files/);
    });
});

describe('files and damage', { concurrency: 2 }, () => {
    test('what cannot be read stays until it is emptied', async () => {
        const first = await device();
        await stored(first, 'a', 'x');
        await first.stop();
        const flash = first.bytes();
        flash.fill('junk', USR.offset, USR.offset + CLUSTER);
        const d = await device({ from: bench.file(flash) });
        await untouched(d, async () => {
            assert.deepEqual(await list(d), { state: 'damaged', ...USR, free: 0, files: [] });
            assert.deepEqual((await d.status()).files, { state: 'damaged', size: USR.size, free: 0 });
            for (const method of ['GET', 'PUT', 'DELETE'])
                await refused(ask(d, method, FILES + 'a', { body: method === 'PUT' ? 'x' : undefined }), 409, 'files_damaged',
                    /until it is emptied/);
        });
        assert.equal((await ask(d, 'DELETE', FILES)).status, 200);
        await stored(d, 'a', 'new');
        await d.stop();
        await d.start();
        await holds(d, 'a', 'new');
    });

    test('a power cut while a file is stored: the old or the new one, and the device works', async t => {
        const origin = await device(), old = randomBytes(20000), kept = randomBytes(5000), next = randomBytes(30000);
        await stored(origin, 'target', old);
        await stored(origin, 'kept', kept);
        const { free } = await list(origin);
        await origin.stop();
        let cuts = 0, whole = 0;
        for (const tear of ['before', 'after', 'prefix:100', 'random-bits:7', 'all-but-one:3', 'half-erase:900'])
            await t.test(tear, async () => {
                for (const at of [1, 2, 60, 130, 170, 200, 230, 260, 290, 320]) {
                    const d = await device({ from: origin.flash, args: ['--power-cut', `${at}:${tear}`] });
                    await d.status();
                    const reply = await put(d, 'target', next).catch(() => null);
                    if (!reply) {
                        cuts++;
                        await d.seen('the next life', s => s.boot_id === 2);
                    }
                    const s = await list(d);
                    assert.equal(s.state, 'ready', `cut at ${at}`);
                    const now = (await ask(d, 'GET', path_of('target'))).body;
                    assert.ok(now.equals(next) || (!reply && now.equals(old)), `cut at ${at}: ${now.length} bytes`);
                    if (now.equals(next)) whole++;
                    assert.equal(s.free, free - (now.equals(next) ? 3 * CLUSTER : 0), `cut at ${at}`);
                    await holds(d, 'kept', kept);
                    await stored(d, 'later', next);
                    await d.stop();
                }
            });
        assert.ok(cuts > 20, `${cuts} cuts`);
        assert.ok(whole > 3 && whole < cuts, `${whole} of the new`);
    });
});
