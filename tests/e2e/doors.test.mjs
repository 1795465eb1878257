// The push door from outside: every way to send an image, every way to send a wrong one, and what is left in flash.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Bench, head, patched, sha256, until } from './device.mjs';

const UPLOAD = '/api/v1/firmware/upload', UPDATE = '/update', STATUS = '/api/v1/firmware/status';
const CONFIRM = '/api/v1/firmware/confirm', ROLLBACK = '/api/v1/firmware/rollback', RESTART = '/api/v1/restart';
const SESAME = { env: { OTTER_TOKEN: 'sesame' }, http: { headers: { Authorization: 'Bearer sesame' } } };
const MIB = 1 << 20, DRAIN = 16 * MIB, ANY = { '*': { behaviour: 'healthy', confirm_after_ms: 0 } };
const BYE = 'Firmware update complete, rebooting now!\n';

const bench = new Bench();
after(() => bench.close());

const v10 = await bench.image('1.0.0'), v11 = await bench.image('1.1.0'), v12 = await bench.image('1.2.0');
const v12bytes = fs.readFileSync(v12);

// Flash of a device with a history: 1.1.0 runs from ota_1, 1.0.0 lies in ota_0, so that what gets lost is seen.
const VETERAN = await (async () => {
    const d = await bench.device({ image: v10, scenario: ANY });
    assert.equal((await d.upload(v11)).status, 200);
    await d.runs('1.1.0');
    await d.stop();
    return d.flash;
})();

const veteran = options => bench.device({ from: VETERAN, scenario: ANY, ...options });
const fresh = options => bench.device({ image: v10, scenario: ANY, ...options });

function region(bytes, slot) { return bytes.subarray(slot.offset, slot.offset + slot.size); }

// What act() does leaves every byte of flash and the life of the firmware as they were.
async function untouched(d, act) {
    const before = d.bytes(), was = await d.status();
    const result = await act();
    const now = await d.status();
    assert.deepEqual(now.running, was.running, 'another firmware runs');
    assert.equal(now.boot_id, was.boot_id, 'the device has restarted');
    assert.ok(before.equals(d.bytes()), 'the flash has changed');
    return result;
}

// An upload that was accepted and then failed: only the spare slot has changed, and nothing in it can be started.
async function given_up(d, act) {
    const before = d.bytes(), was = await d.status(), spare = was.slots.find(s => s.target);
    const result = await act();
    const now = await d.status(), bytes = d.bytes();
    assert.deepEqual(now.running, was.running, 'another firmware runs');
    assert.equal(now.boot_id, was.boot_id, 'the device has restarted');
    assert.notEqual(bytes[spare.offset], 0xe9, 'the spare slot looks startable');
    region(bytes, spare).fill(0);
    region(before, spare).fill(0);
    // The settings keep a record of the update.
    for (const flash of [bytes, before]) region(flash, { offset: 0x9000, size: 0x6000 }).fill(0);
    assert.ok(before.equals(bytes), 'the flash has changed outside the spare slot');
    return result;
}

function refused(reply, status, name, words = /./) {
    assert.equal(reply.status, status, `${reply.body} ${reply.err || ''}`);
    assert.equal(reply.headers['otter-result'], name, reply.body);
    assert.match(reply.body, words);
}

async function updated(d, reply, file = v12, version = '1.2.0') {
    assert.equal(reply.status, 200, `${reply.body} ${reply.err || ''}`);
    assert.equal(reply.headers['otter-result'], 'switched');
    const s = await d.runs(version), bytes = fs.readFileSync(file), slot = s.slots.find(x => x.running);
    assert.ok(region(d.bytes(), slot).subarray(0, bytes.length).equals(bytes), 'other bytes are in flash');
}

const form = (parts, boundary = 'XyZ') => Buffer.concat([
    ...parts.flatMap(([headers, body]) => [Buffer.from(`--${boundary}\r\n${headers}\r\n\r\n`), Buffer.from(body),
        Buffer.from('\r\n')]), Buffer.from(`--${boundary}--\r\n`)]);
const FILE = 'Content-Disposition: form-data; name="firmware"; filename="app.bin"';
const FORM_TYPE = 'multipart/form-data; boundary=XyZ';

// A whole request at once: what happens to it and to the connection.
async function post(d, target, body, headers = {}, method = 'POST') {
    const raw = d.raw();
    raw.write(head(method, target, { 'Content-Length': body.length, ...headers }));
    const sent = raw.write(body), reply = await raw.reply();
    const all = await Promise.race([sent, sleep(5000, false)]);
    return { ...reply, all, error: raw.error, raw };
}

describe('ways to send an image', { concurrency: 5 }, () => {
    const ways = {
        'curl --data-binary': d => d.upload(v12),
        'curl -T': d => d.curl(UPLOAD, '-T', v12),
        'curl, chunked': d => d.upload(v12, '-H', 'Transfer-Encoding: chunked'),
        'curl -T from standard input': d => d.curl(UPLOAD, '-T', '-', { input: v12bytes }),
        'with the right SHA-256': d => d.upload(v12, '-H', 'X-Firmware-SHA256: ' + sha256(v12bytes)),
        'with the right SHA-256 in capitals': d =>
            d.upload(v12, '-H', 'x-firmware-sha256: ' + sha256(v12bytes).toUpperCase()),
        'from a page of its own': d => d.upload(v12, '-H', 'Origin: ' + d.url, '-H', 'Referer: ' + d.url + '/x',
            '-H', 'Sec-Fetch-Site: same-origin'),
        'by name, localhost': d => d.upload(v12, '-H', 'Host: LocalHost:80'),
    };
    for (const [name, way] of Object.entries(ways))
        test(name, async () => {
            const d = await veteran(), reply = await way(d);
            assert.equal(reply.body, 'OK');
            await updated(d, reply);
        });

    test('Expect: 100-continue is answered', async () => {
        const d = await veteran(), reply = await d.upload(v12, '-H', 'Expect: 100-continue');
        assert.ok(reply.continued, 'no 100 came');
        await updated(d, reply);
    });

    test('the old path, raw, in words', async () => {
        const d = await veteran(), reply = await d.curl(UPDATE, '-X', 'POST', '--data-binary', '@' + v12);
        assert.match(reply.headers['content-type'], /^text\/html/);
        assert.equal(reply.body, BYE);
        await updated(d, reply);
    });

    test('the old path, as a form', async () => {
        const d = await veteran(), reply = await d.curl(UPDATE, '-F', 'note=hello', '-F', `firmware=@${v12}`);
        assert.match(reply.headers['content-type'], /^text\/html/);
        assert.match(reply.body, /Firmware update complete/);
        await updated(d, reply);
    });

    test('a form on the new path, chunked', async () => {
        const d = await veteran();
        await updated(d, await d.curl(UPLOAD, '-F', `firmware=@${v12}`, '-H', 'Transfer-Encoding: chunked'));
    });

    test('a form in pieces of 1 to 1500 bytes', async () => {
        const d = await veteran(), body = form([[FILE, v12bytes]]), raw = d.raw();
        await raw.write(head('POST', UPDATE, { 'Content-Type': FORM_TYPE, 'Content-Length': body.length }));
        for (let at = 0, n = 1; at < body.length; at += n, n = at < 600 ? 1 : n * 7 % 1500 + 1)
            await raw.write(body.subarray(at, at + n));
        await updated(d, await raw.reply());
    });

    test('onto a factory app, with other chips and tables', async () => {
        const chip = 'esp32s3';
        const old = await bench.image('1.0.0', { chip }), next = await bench.image('2.0.0', { chip });
        const d = await bench.device({ image: old, chip, table: 'two_ota', scenario: ANY });
        assert.equal((await d.status()).running.slot, 'factory');
        await updated(d, await d.upload(next), next, '2.0.0');
        assert.equal((await d.status()).running.slot, 'ota_0');
    });

    test('to several devices side by side', async () => {
        const all = await Promise.all([veteran(), veteran(), fresh(), fresh()]);
        assert.equal(new Set(all.map(d => d.port)).size, 4);
        const replies = await Promise.all(all.map(d => d.upload(v12)));
        await Promise.all(all.map((d, i) => updated(d, replies[i])));
        const slots = await Promise.all(all.map(async d => (await d.status()).running.slot));
        assert.deepEqual(slots, ['ota_0', 'ota_0', 'ota_1', 'ota_1']);
    });
});

describe('refused, and nothing is touched', { concurrency: 3 }, () => {
    const mib3 = Buffer.alloc(3 * MIB, 0x5a);

    test('wrong files', async t => {
        const d = await veteran();
        const file = (data, ...rest) => [typeof data === 'string' ? data : bench.file(data), ...rest];
        const cases = {
            'zero length': file('', 523, 'empty', /^Invalid Firmware File: .*empty/),
            'one byte': file(Buffer.of(0xe9), 523, 'too_short'),
            'junk': file(Buffer.alloc(MIB, 'junk'), 523, 'bad_magic', /^Invalid Firmware File: .*0xE9/),
            'junk behind a right first byte': file(Buffer.alloc(MIB, 0xe9), 523, 'wrong_chip', /unknown chip/),
            'a few bytes of junk': file(Buffer.from('hello'), 523, 'bad_magic'),
            'a page': file(Buffer.from('<html><script>alert(1)</script>'.repeat(50)), 523, 'bad_magic'),
            '287 bytes of an image': file(v12bytes.subarray(0, 287), 523, 'too_short'),
            'wrong chip': file(await bench.image('1.2.0', { chip: 'esp32' }), 523, 'wrong_chip', /ESP32,.* ESP32-C3/),
            'other project': file(await bench.image('1.2.0', { project: 'kettle' }), 523, 'wrong_project',
                /"kettle".*"demo"/),
            'too big': file(await bench.image('1.2.0', { size: 1800000 }), 413, 'too_big', /1740800 bytes/),
            'SHA-256 too short': file(v12, 400, 'bad_argument', /./, '-H', 'X-Firmware-SHA256: abc'),
            'SHA-256 no hex': file(v12, 400, 'bad_argument', /./, '-H', 'X-Firmware-SHA256: ' + 'g'.repeat(64)),
            'SHA-256 too long': file(v12, 400, 'bad_argument', /./, '-H', 'X-Firmware-SHA256: ' + '0'.repeat(65)),
        };
        const ways = { length: [], chunked: ['-H', 'Transfer-Encoding: chunked'] };
        for (const [name, [data, status, error, words = /./, ...rest]] of Object.entries(cases))
            for (const [way, options] of Object.entries(ways)) {
                // Without a length an image that is too big shows itself only after it has been accepted.
                if (name === 'too big' && way === 'chunked') continue;
                await t.test(`${name}, ${way}`, async () => {
                    const path = data || bench.file('');
                    refused(await untouched(d, () => d.upload(path, ...options, ...rest)), status, error, words);
                });
            }
        await t.test('then a good one', async () => updated(d, await d.upload(v12)));
    });

    test('no body at all, and lengths beyond all', async () => {
        const d = await veteran();
        await untouched(d, async () => {
            for (const target of [UPLOAD, UPDATE])
                for (const method of ['POST', 'PUT']) {
                    const raw = d.raw();
                    await raw.write(head(method, target));
                    refused(await raw.reply(), 523, 'empty');
                }
            for (const length of ['4294967296', '18446744073709551615', '1740801']) {
                const raw = d.raw();
                await raw.write(head('POST', UPLOAD, { 'Content-Length': length, Expect: '100-continue' }));
                refused(await raw.reply(), 413, 'too_big');
            }
            for (const length of ['-1', 'abc', '99999999999999999999999']) {
                const raw = d.raw();
                await raw.write(head('POST', UPLOAD, { 'Content-Length': length }));
                const { status } = await raw.reply();
                assert.ok(status === 400 || status === 413, `Content-Length ${length}: ${status}`);
            }
        });
    });

    test('errors as JSON for who wants it', async () => {
        const d = await veteran();
        const r = await untouched(d, () => d.upload(bench.file('junk'), '-H', 'Accept: application/json'));
        refused(r, 523, 'bad_magic');
        assert.equal(r.headers['content-type'], 'application/json');
        const { error, message } = JSON.parse(r.body);
        assert.equal(error, 'bad_magic');
        assert.match(message, /0xE9/);
    });

    test('broken forms', async t => {
        const d = await veteran();
        const kettle = fs.readFileSync(await bench.image('1.2.0', { project: '<b>kettle' }));
        const cases = {
            'no file part': [form([['Content-Disposition: form-data; name="a"', v12bytes]]), 400, 'bad_multipart'],
            'no part': [Buffer.from('--XyZ--\r\n'), 400, 'bad_multipart'],
            'nothing': [Buffer.alloc(0), 400, 'bad_multipart'],
            'only a preamble': [Buffer.alloc(MIB, 'x'), 400, 'bad_multipart'],
            'another boundary': [form([[FILE, v12bytes]], 'other'), 400, 'bad_multipart'],
            'header line of 4 KiB': [form([[`X-Long: ${'x'.repeat(4096)}\r\n${FILE}`, v12bytes]]), 400,
                'bad_multipart'],
            'header without end': [Buffer.from(`--XyZ\r\n${'y'.repeat(MIB)}`), 400, 'bad_multipart'],
            'ends in the headers': [Buffer.from(`--XyZ\r\n${FILE}\r\n`), 400, 'bad_multipart'],
            'no file chosen': [form([['Content-Disposition: form-data; name="f"; filename=""', '']]), 523, 'empty'],
            'junk in it': [form([[FILE, mib3]]), 523, 'bad_magic'],
            'markup in it': [form([[FILE, kettle]]), 523, 'wrong_project'],
        };
        for (const [name, [body, status, error]] of Object.entries(cases))
            await t.test(name, async () => {
                const r = await untouched(d, () => post(d, UPDATE, body, { 'Content-Type': FORM_TYPE }));
                refused(r, status, error,
                    /<h1>The update was refused<\/h1><p>[^<>]+<\/p><p><a href='\/'>Back[^<]*<\/a><\/p>$/);
                assert.match(r.headers['content-type'], /^text\/html/);
                assert.equal(r.error, undefined);
            });
        await t.test('boundary too long: no form, so no image', async () =>
            refused(await untouched(d, () => post(d, UPDATE, form([[FILE, v12bytes]]),
                { 'Content-Type': 'multipart/form-data; boundary=' + 'b'.repeat(71) })), 523, 'bad_magic'));
    });

    test('foreign hosts and pages', async t => {
        const d = await veteran({ args: ['--host', 'otter.local'] });
        const cases = {
            'Host: evil.example': ['Host', 'evil.example', 'foreign_host'],
            'Host with a port': ['Host', 'evil.example:80', 'foreign_host'],
            'Host like an address': ['Host', '127.0.0.1.evil.example', 'foreign_host'],
            'Host like a name': ['Host', 'otter.local.evil.example', 'foreign_host'],
            'Origin': ['Origin', 'http://evil.example', 'foreign_origin'],
            'Origin null': ['Origin', 'null', 'foreign_origin'],
            'Origin, another port': ['Origin', 'http://127.0.0.1:1', 'foreign_origin'],
            'Origin, longer': ['Origin', d.url + '1', 'foreign_origin'],
            'Referer': ['Referer', 'http://evil.example/' + d.url, 'foreign_origin'],
            'Sec-Fetch-Site cross-site': ['Sec-Fetch-Site', 'cross-site', 'foreign_origin'],
            'Sec-Fetch-Site same-site': ['Sec-Fetch-Site', 'same-site', 'foreign_origin'],
        };
        const headers = ([name, value]) => ['-H', `${name}: ${value}`];
        for (const [name, c] of Object.entries(cases))
            await t.test(name, () => untouched(d, async () => {
                refused(await d.upload(v12, ...headers(c)), 403, c[2]);
                refused(await d.curl(UPDATE, '-F', `f=@${v12}`, ...headers(c)), 403, c[2]);
                for (const target of [CONFIRM, ROLLBACK, RESTART])
                    refused(await d.curl(target, '-X', 'POST', ...headers(c)), 403, c[2]);
                const reading = await d.curl(STATUS, ...headers(c));
                assert.equal(reading.status, c[2] === 'foreign_host' ? 403 : 200);
            }));
        for (const host of ['otter.local', 'OTTER.local:8080', 'localhost', '192.168.4.1', '[::1]:80'])
            await t.test('own host ' + host, async () =>
                assert.equal((await d.curl(STATUS, '-H', 'Host: ' + host)).status, 200));
    });

    test('paths and methods', async () => {
        const d = await veteran();
        await untouched(d, async () => {
            for (const target of ['/nothing', '/api/v1/firmware', '/update/', '/../etc/passwd', '/%2e%2e/',
                UPLOAD + '/'])
                refused(await d.curl(target, '--path-as-is'), 404, 'not_found');
            for (const method of ['POST', 'PUT'])
                refused(await d.curl('/nothing', '-X', method, '--data-binary', '@' + v12), 404, 'not_found');
            const wrong = [[STATUS, 'POST', 'GET, HEAD'], ['/', 'DELETE', 'GET, HEAD'], [UPLOAD, 'GET', 'POST, PUT'],
                [UPDATE, 'HEAD', 'POST, PUT'], [UPLOAD, 'DELETE', 'POST, PUT'], [RESTART, 'GET', 'POST'],
                [ROLLBACK, 'PUT', 'POST'], [CONFIRM, 'OPTIONS', 'POST'], [UPLOAD, 'BREW', 'POST, PUT']];
            for (const [target, method, allow] of wrong) {
                const r = await d.curl(target, ...(method === 'HEAD' ? ['-I'] : ['-X', method]));
                refused(r, 405, 'method_not_allowed', method === 'HEAD' ? /^/ : /./);
                assert.equal(r.headers.allow, allow);
            }
            for (const target of ['/', '/index.html', STATUS, '/api/v1/info', '/api/v1/firmware/events']) {
                const r = await d.curl(target, '-I', '-m', '5');
                assert.equal(r.status, 200, target + r.err);
            }
            const page = await d.curl('/', '--compressed');
            assert.equal(page.headers['content-encoding'], 'gzip');
            assert.match(page.body, /<html|<!doctype/i);
            assert.equal(page.headers['x-content-type-options'], 'nosniff');
        });
    });

    test('every refusal can be read behind 3 MB of unread body', async t => {
        const d = await veteran(SESAME);
        const auth = { Authorization: 'Bearer sesame' };
        const cases = {
            '401': [UPLOAD, {}, 401, 'unauthorized'],
            '403 host': [UPLOAD, { ...auth, Host: 'evil.example' }, 403, 'foreign_host'],
            '403 origin': [UPLOAD, { ...auth, Origin: 'http://evil.example' }, 403, 'foreign_origin'],
            '404': ['/nothing', auth, 404, 'not_found'],
            '405': [STATUS, auth, 405, 'method_not_allowed'],
            '413': [UPLOAD, auth, 413, 'too_big'],
            '400 digest': [UPLOAD, { ...auth, 'X-Firmware-SHA256': 'x' }, 400, 'bad_argument'],
            '523, form': [UPDATE, { ...auth, 'Content-Type': FORM_TYPE }, 400, 'bad_multipart'],
        };
        for (const [name, [target, headers, status, error]] of Object.entries(cases))
            await t.test(name, async () => {
                const r = await untouched(d, () => post(d, target, mib3, headers));
                refused(r, status, error);
                assert.equal(r.error, undefined, 'the connection was reset');
                assert.equal(r.all, true, 'not all was taken');
            });
        // Who announces Expect and then does not wait gets the refusal at once, and can read it all the same.
        for (const [name, [target, headers, status, error]] of Object.entries(cases))
            await t.test(`${name}, Expect without waiting`, async () => {
                const r = await untouched(d, () => post(d, target, mib3, { ...headers, Expect: '100-continue' }));
                refused(r, status, error);
                assert.equal(r.error, undefined, 'the connection was reset');
            });
        await t.test('523 in the middle of a chunked body', async () => {
            const raw = d.raw();
            await raw.write(head('POST', UPLOAD, { ...auth, 'Transfer-Encoding': 'chunked' }));
            await raw.write(Buffer.concat([Buffer.from('300000\r\n'), mib3, Buffer.from('\r\n0\r\n\r\n')]));
            refused(await raw.reply(), 523, 'bad_magic');
            assert.equal(raw.error, undefined);
        });
        await t.test('a body nobody asked for', async () => {
            const r = await post(d, CONFIRM, mib3, auth);
            assert.equal(r.status, 200);
            assert.equal(r.all, true);
        });
    });

    test('Expect: 100-continue is not answered by a refusal', async () => {
        const d = await veteran(SESAME);
        const ask = { 'Content-Length': v12bytes.length, Expect: '100-continue' };
        await untouched(d, async () => {
            for (const [headers, status] of [[{}, 401], [{ Host: 'evil.example' }, 403],
                [{ Authorization: 'Bearer sesame', Origin: 'http://evil.example' }, 403]]) {
                const raw = d.raw();
                await raw.write(head('POST', UPLOAD, { ...ask, ...headers }));
                assert.equal((await raw.reply()).status, status);
                assert.ok(!raw.continued, 'the body was asked for');
                const curl = await d.upload(v12, '-H', 'Expect: 100-continue', ...Object.entries(headers)
                    .flatMap(([name, value]) => ['-H', `${name}: ${value}`]));
                assert.equal(curl.status, status);
                assert.ok(!curl.continued);
            }
        });
    });
});

describe('passwords', () => {
    test('Basic and Bearer', async () => {
        const d = await veteran({ env: { OTTER_USER: 'ada:love lace', OTTER_TOKEN: 'open-sesame' },
            http: { headers: { Authorization: 'Bearer open-sesame' } } });
        const basic = text => 'Basic ' + Buffer.from(text).toString('base64');
        const wrong = [null, '', 'Basic', 'Basic ', 'Bearer', 'Bearer ', 'Bearer open-sesam', 'Bearer open-sesamex',
            'Bearer open-sesameopen-sesame', 'Bearer OPEN-SESAME', 'Basic open-sesame', basic('ada:lovelace'),
            basic('ada:'), basic('Ada:love lace'), basic('ada:love lace') + 'x', 'Digest open-sesame', 'open-sesame'];
        await untouched(d, async () => {
            for (const value of wrong)
                for (const target of ['/', STATUS, '/api/v1/firmware/events', UPLOAD]) {
                    const how = target === UPLOAD ? ['-X', 'POST', '--data-binary', '@' + v12] : [];
                    const r = await d.curl(target, ...how, ...(value == null ? [] : ['-H', 'Authorization: ' + value]));
                    refused(r, 401, 'unauthorized', /^Bad credentials$/);
                    assert.match(r.headers['www-authenticate'], /^Basic realm="Users"/);
                }
            const right = [basic('ada:love lace'), basic('ada:love lace').replace('Basic', 'bASIC'),
                'Bearer open-sesame', 'bearer open-sesame'];
            for (const value of right)
                assert.equal((await d.curl(STATUS, '-H', 'Authorization: ' + value)).status, 200, value);
        });
        assert.equal((await d.curl(STATUS, '-u', 'ada:love lace')).status, 200);
        assert.equal((await d.curl(STATUS, '--oauth2-bearer', 'open-sesame')).status, 200);
        await updated(d, await d.upload(v12, '-u', 'ada:love lace'));
        assert.doesNotMatch(d.log, /sesame|lace/);
    });
});

// The long ones, side by side.
describe('unlucky and hostile senders', { concurrency: 10 }, () => {
    test('uploads given up leave nothing startable, and the next one works', async t => {
        const d = await veteran();
        const half = v12bytes.subarray(0, v12bytes.length >> 1), flipped = Buffer.from(v12bytes);
        flipped[v12bytes.length >> 1] ^= 4;
        const failed = error => d.seen('failed', s => s.update.state === 'failed' && s.update.error === error);
        // Sends this much and breaks off as asked; waits until the device has seen it.
        const broken = async (headers, body, end, error) => {
            const raw = d.raw();
            await raw.write(head('POST', UPLOAD, headers));
            await raw.write(body);
            await d.seen('half of it', s => s.update.state === 'receiving' && s.update.received > 30000);
            refused(await d.upload(v12), 409, 'busy');
            end(raw);
            await failed(error);
        };
        const cases = {
            'ended together with the last bytes': async () => {
                for (const n of [100, 1000, 20000, 40000, 60000, 60001]) {
                    const request = head('POST', UPLOAD, { 'Content-Length': v12bytes.length });
                    // Bytes and end are both there when the device looks, and no other request wakes it.
                    d.freeze();
                    d.raw().socket.end(Buffer.concat([Buffer.from(request), v12bytes.subarray(0, n)]));
                    await sleep(100);
                    d.thaw();
                    await sleep(400);
                    const { update } = await d.status();
                    assert.deepEqual([update.error, update.received], ['aborted', n]);
                }
            },
            'reset at 50 %': () => broken({ 'Content-Length': v12bytes.length }, half, r => r.socket.resetAndDestroy(),
                'aborted'),
            'closed at 50 %': () => broken({ 'Content-Length': v12bytes.length }, half, r => r.close(), 'aborted'),
            'ended in order at 50 %': () => broken({ 'Content-Length': v12bytes.length }, half, r => r.socket.end(),
                'aborted'),
            'chunked, ended at 50 %': () => broken({ 'Transfer-Encoding': 'chunked' },
                Buffer.concat([Buffer.from(half.length.toString(16) + '\r\n'), half, Buffer.from('\r\n')]),
                r => r.socket.end(), 'aborted'),
            'chunked, then no chunk': () => broken({ 'Transfer-Encoding': 'chunked' },
                Buffer.concat([Buffer.from(half.length.toString(16) + '\r\n'), half, Buffer.from('\r\n')]),
                r => r.write('no hex\r\n'), 'aborted'),
            'truncated file': async () => refused(await d.upload(bench.file(half)), 523, 'truncated'),
            'flipped bit': async () => refused(await d.upload(bench.file(flipped)), 523, 'bad_checksum', /Computed 0x/),
            'other SHA-256 announced': async () =>
                refused(await d.upload(v12, '-H', 'X-Firmware-SHA256: ' + '0'.repeat(64)), 523, 'wrong_digest'),
            'form without its closing boundary': async () => {
                const body = form([[FILE, v12bytes]]).subarray(0, -9);
                refused(await post(d, UPDATE, body, { 'Content-Type': FORM_TYPE }), 400, 'bad_multipart');
            },
            'too big, chunked': async () => refused(await d.upload(await bench.image('1.2.0', { size: 1800000 }), '-H',
                'Transfer-Encoding: chunked'), 413, 'too_big'),
        };
        for (const [name, act] of Object.entries(cases)) await t.test(name, () => given_up(d, act));
        await t.test('then a good one', async () => updated(d, await d.upload(v12)));
    });

    test('a second upload is told so, the first one completes', async () => {
        const d = await veteran(), raw = d.raw(), middle = v12bytes.length >> 1;
        await raw.write(head('POST', UPLOAD, { 'Content-Length': v12bytes.length }));
        await raw.write(v12bytes.subarray(0, middle));
        await d.seen('half of it', s => s.update.received > 30000);
        refused(await d.upload(v12), 409, 'busy');
        refused(await d.curl(UPDATE, '-F', `f=@${v12}`), 409, 'busy', /<h1>/);
        refused(await d.upload(v12, '-H', 'Expect: 100-continue'), 409, 'busy');
        for (const target of [RESTART, ROLLBACK]) refused(await d.curl(target, '-X', 'POST'), 409, 'busy');
        assert.equal((await d.status()).update.state, 'receiving');
        await raw.write(v12bytes.subarray(middle));
        const reply = await raw.reply();
        // Between the reply and the restart nothing else begins, and nothing speaks of failure.
        refused(await d.upload(v12), 409, 'busy');
        assert.equal((await d.status()).update.state, 'done');
        await updated(d, reply);
    });

    test('an upload that stalls is given up for another', async () => {
        const d = await veteran(), slow = d.raw(), quick = d.raw(), middle = v12bytes.length >> 1;
        const length = { 'Content-Length': v12bytes.length };
        await slow.write(head('POST', UPLOAD, length));
        await slow.write(v12bytes.subarray(0, middle));
        await d.seen('half of it', s => s.update.received > 30000);
        await d.seen('given up', s => s.update.error === 'idle_timeout', 45000);
        await quick.write(head('POST', UPLOAD, length));
        await quick.write(v12bytes.subarray(0, middle));
        await d.seen('the other one', s => s.update.state === 'receiving' && s.update.received > 30000);
        // Bytes of the one that was given up must not get into the other.
        await slow.write(v12bytes.subarray(middle));
        refused(await slow.reply(), 522, 'idle_timeout');
        await quick.write(v12bytes.subarray(middle));
        await updated(d, await quick.reply());
    });

    // The payload is full of what looks like a delimiter. The image runs already, so nothing restarts, and its SHA-256
    // is announced, so that a byte more or less is noticed.
    test('a boundary split at every position', async () => {
        const traps = '\r\n--Xy\r\n--XyY\r\r\n--X\r\n-\r\n\r\n--xyZ--\r\n';
        const file = bench.file(patched(await bench.image('1.5.0', { size: 64 }), 300, traps));
        const d = await bench.device({ image: file, scenario: ANY });
        const image = fs.readFileSync(file);
        const body = form([['Content-Disposition: form-data; name="a"', 'b'], [FILE, image]]);
        const request = head('POST', UPDATE,
            { 'Content-Type': FORM_TYPE, 'Content-Length': body.length, 'X-Firmware-SHA256': sha256(image) });
        const raw = d.raw();
        for (let at = 1; at < body.length; at++) {
            await raw.write(Buffer.concat([Buffer.from(request), body.subarray(0, at)]));
            await new Promise(setImmediate);
            await sleep(1);
            await raw.write(body.subarray(at));
            const reply = await raw.reply();
            assert.equal(reply.headers['otter-result'], 'already_current', `split at ${at}: ${reply.body}`);
        }
        await raw.write(request);
        for (const byte of body) {
            await raw.write(Buffer.of(byte));
            await new Promise(setImmediate);
        }
        assert.equal((await raw.reply()).headers['otter-result'], 'already_current', 'single bytes');
    });

    // Sends for ever; the device closes the connection some time, and is well.
    async function endless(request, chunk) {
        const d = await veteran();
        await untouched(d, async () => {
            const raw = d.raw();
            await raw.write(request);
            while (raw.sent < 10 * DRAIN && await raw.write(chunk));
            assert.ok(raw.sent >= DRAIN - MIB && raw.sent < 4 * DRAIN, `closed after ${raw.sent} bytes`);
            await raw.closed;
        });
        await updated(d, await d.upload(v12));
    }

    test('a body without end, with a length', () =>
        endless(head('POST', UPLOAD, { 'Content-Length': 2 ** 31 }), Buffer.alloc(MIB, 'x')));
    test('a body without end, chunked', () => endless(head('POST', UPLOAD, { 'Transfer-Encoding': 'chunked' }),
        Buffer.concat([Buffer.from('10000\r\n'), Buffer.alloc(65536, 'x'), Buffer.from('\r\n')])));
    test('a body without end, to a path that wants none', () =>
        endless(head('POST', CONFIRM, { 'Content-Length': 2 ** 31 }), Buffer.alloc(MIB, 'x')));

    test('a slow sender after a refusal is closed', async () => {
        const d = await veteran(), raw = d.raw(), start = Date.now();
        await raw.write(head('POST', UPLOAD, { 'Content-Length': 1000000 }));
        while (Date.now() - start < 30000 && await raw.write('slow')) await Promise.race([sleep(200), raw.closed]);
        assert.ok(raw.ended, 'it is still open');
        assert.ok(Date.now() - start > 5000, 'it was closed at once');
        // The device has been up for long by now: a short body that is not wanted does not count as slow.
        assert.equal((await d.curl(CONFIRM, '-d', '{}')).status, 200);
        await updated(d, await d.upload(v12));
    });

    test('headers of 64 KiB, long lines, noise', async () => {
        const d = await veteran();
        const requests = [
            head('GET', STATUS, { 'X-Long': 'x'.repeat(65536) }),
            head('POST', UPLOAD,
                Object.fromEntries(Array.from({ length: 1000 }, (_, i) => ['X-' + i, 'y'.repeat(60)]))),
            head('GET', '/' + 'z'.repeat(65536)), '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', '\r\n\r\n\r\n',
            '\0'.repeat(100),
            'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n',
        ];
        await untouched(d, async () => {
            for (const [i, request] of requests.entries()) {
                const raw = d.raw();
                await raw.write(Buffer.from(request, 'latin1'));
                raw.socket.end();
                await raw.closed;
                const first = raw.bytes.toString('latin1', 9, 12);
                assert.ok(['', '400', '404', '414', '431', '505'].includes(first), `request ${i}: ${first}`);
            }
        });
        await updated(d, await d.upload(v12));
    });

    test('many connections that say nothing', async () => {
        const d = await veteran(), idle = Array.from({ length: 20 }, () => d.raw());
        await sleep(200);
        await updated(d, await d.upload(v12));
        idle.forEach(r => r.close());
    });
});

describe('what the device tells', { concurrency: 3 }, () => {
    test('status and info', async () => {
        const d = await veteran(), s = await d.status();
        const slot = { slot: 'ota_1', offset: 0x1d0000, size: 1740800, version: '1.1.0', state: 'valid', next: true,
            target: false };
        assert.deepEqual(s.running, slot);
        assert.deepEqual(s.slots, [
            { ...slot, slot: 'ota_0', offset: 0x20000, version: '1.0.0', running: false, next: false, target: true },
            { ...slot, running: true },
        ]);
        const { running: _running, slots: _slots, boot_id, ...rest } = s;
        assert.equal(typeof boot_id, 'number');
        assert.deepEqual(rest, {
            project: 'demo', id: '020000000001', chip: 'ESP32-C3', rollback: true, can_confirm: false, can_roll_back: true, went_back: null, division: null,
            update: { state: 'idle', door: null, size: 0, received: 0, written: 0, wanted: 0, record_writes: 0,
                error: null, message: null },
            resume: null, files: null, channel: null,
        });
        const { uptime, ...info } = await d.get('/api/v1/info');
        assert.ok(Number.isInteger(uptime) && uptime < 30);
        assert.deepEqual(info, { appProject: 'demo', appVersion: '1.1.0', appDate: 'Jan  1 2026', appTime: '00:00:00',
            idfVersion: 'synthetic', chip: 'ESP32-C3', chipCores: 1, chipRevision: 'v0.3' });
    });

    test('events, in order, to all who listen', async () => {
        const d = await veteran(), streams = [d.raw(), d.raw()];
        for (const raw of streams) await raw.write(head('GET', '/api/v1/firmware/events'));
        const reply = await d.upload(v12);
        const late = d.raw();
        await late.write(head('GET', '/api/v1/firmware/events'));
        for (const raw of [...streams, late]) {
            await until('the end of the events', () => raw.bytes.includes('event: switched'));
            const text = raw.bytes.toString('latin1');
            assert.match(text, /^HTTP\/1\.1 200 [^]*Content-Type: text\/event-stream\r\n/);
            const events = [...text.matchAll(/id: (\d+)\nevent: (\w+)\ndata: (.*)\n\n/g)]
                .map(([, id, name, data]) => ({ id: Number(id), name, ...JSON.parse(data) }));
            const names = events.map(e => e.name).filter((n, i, all) => n !== all[i - 1]);
            assert.deepEqual(names, ['started', 'opened', 'accepted', 'progress', 'verifying', 'switched']);
            assert.deepEqual(events.map(e => e.id), events.map((_, i) => i + 1));
            const progress = events.filter(e => e.name === 'progress').map(e => e.value);
            assert.ok(progress.length > 3 && progress.every((v, i) => i === 0 || v > progress[i - 1]), `${progress}`);
            assert.equal(events.find(e => e.name === 'opened').value, v12bytes.length);
            assert.equal(events.find(e => e.name === 'verifying').value, v12bytes.length);
            assert.equal(events.find(e => e.name === 'switched').value, 0x20000);
            assert.ok(events.slice(1).every(e => e.door === 'push' && e.error === null), text);
        }
        await updated(d, reply);
    });

    test('the reason of a refusal, in status and events', async () => {
        const d = await veteran(), stream = d.raw();
        await stream.write(head('GET', '/api/v1/firmware/events'));
        const r = await d.upload(await bench.image('1.2.0', { chip: 'esp32' }));
        const { update } = await d.status();
        assert.equal(update.state, 'failed');
        assert.equal(update.error, 'wrong_chip');
        assert.ok(r.body.includes(update.message), `${r.body} / ${update.message}`);
        await until('the event', () => /event: refused\ndata: .*wrong_chip/.test(stream.bytes.toString()));
    });
});

describe('after the upload', { concurrency: 6 }, () => {
    test('the reply comes first, the restart about a second later', async () => {
        const d = await veteran(), from = d.log.length;
        const reply = await d.upload(v12), replied = Date.now();
        assert.equal(reply.status, 200);
        assert.equal((await d.status()).boot_id, 1);
        await d.said(/ESP-ROM:/, from);
        const ms = Date.now() - replied;
        assert.ok(ms > 500 && ms < 3000, `restart after ${ms} ms`);
        await updated(d, reply);
        assert.equal((await d.status()).boot_id, 2);
    });

    test('what runs already is answered without a restart', async () => {
        const d = await veteran();
        await given_up(d, async () => {
            for (const [target, words] of [[UPLOAD, /^OK$/], [UPDATE, /already runs/]]) {
                const r = await d.curl(target, '-X', 'POST', '--data-binary', '@' + v11);
                assert.equal(r.status, 200);
                assert.equal(r.headers['otter-result'], 'already_current');
                assert.match(r.body, words);
            }
            assert.match((await d.curl(UPDATE, '-F', `f=@${v11}`)).body, /Nothing to do/);
            await sleep(1500);
        });
        await updated(d, await d.upload(v12));
    });

    test('the same version with other bytes is no such thing', async () => {
        const d = await veteran(), other = await bench.image('1.1.0', { seed: 1 });
        const reply = await d.upload(other);
        await d.seen('a restart', s => s.boot_id === 2);
        await updated(d, reply, other, '1.1.0');
    });

    test('confirm, restart, roll back', async () => {
        const d = await veteran();
        assert.equal((await d.curl(CONFIRM, '-X', 'POST')).body, 'OK');
        assert.equal((await d.curl(RESTART, '-X', 'POST')).body, 'OK');
        await d.seen('a restart', s => s.boot_id === 2 && s.running.version === '1.1.0');
        assert.equal((await d.curl(ROLLBACK, '-X', 'POST')).body, 'OK');
        refused(await d.curl(ROLLBACK, '-X', 'POST'), 409, 'busy');
        refused(await d.upload(v12), 409, 'busy');
        const s = await d.runs('1.0.0');
        assert.deepEqual(s.went_back, { slot: 'ota_1', version: '1.1.0', why: 'a person asked for it' });
        assert.equal(s.can_roll_back, false);
        refused(await untouched(d, () => d.curl(ROLLBACK, '-X', 'POST')), 409, 'no_previous', /no previous firmware/);
        await updated(d, await d.upload(v12));
        assert.equal((await d.status()).went_back, null);
    });

    test('a fresh device has nothing to go back to', async () => {
        const d = await fresh();
        const r = await untouched(d, () => d.curl(ROLLBACK, '-X', 'POST', '-H', 'Accept: application/json'));
        refused(r, 409, 'no_previous');
        assert.equal(JSON.parse(r.body).error, 'no_previous');
    });

    test('a previous firmware that is damaged is not gone back to', async () => {
        const from = bench.file(''), bytes = fs.readFileSync(VETERAN);
        bytes[0x20000 + 5000] ^= 1;
        fs.writeFileSync(from, bytes);
        const d = await bench.device({ from, scenario: ANY });
        refused(await untouched(d, () => d.curl(ROLLBACK, '-X', 'POST')), 409, 'no_previous');
    });

    test('firmware on trial takes no upload until it is confirmed', async () => {
        const d = await veteran({ scenario: { '1.2.0': { behaviour: 'never_confirms' }, ...ANY } });
        assert.equal((await d.upload(v12)).status, 200);
        assert.equal((await d.runs('1.2.0', 'pending_verify')).can_confirm, true);
        for (const way of [[], ['-H', 'Transfer-Encoding: chunked'], ['-H', 'Expect: 100-continue']])
            refused(await untouched(d, () => d.upload(v11, ...way)), 409, 'pending_verify', /confirm/);
        assert.equal((await d.curl(CONFIRM, '-X', 'POST')).status, 200);
        assert.equal((await d.runs('1.2.0')).can_confirm, false);
        await updated(d, await d.upload(v11), v11, '1.1.0');
    });

    test('firmware on trial that is restarted, or rolled back, goes', async () => {
        const unconfirmed = 'it restarted unconfirmed';
        for (const [target, why] of [[RESTART, unconfirmed], [ROLLBACK, 'a person asked for it']]) {
            const d = await veteran({ scenario: { '1.2.0': { behaviour: 'never_confirms' }, ...ANY } });
            assert.equal((await d.upload(v12)).status, 200);
            await d.runs('1.2.0', 'pending_verify');
            assert.equal((await d.curl(target, '-X', 'POST')).status, 200);
            const s = await d.runs('1.1.0');
            assert.deepEqual(s.went_back, { slot: 'ota_0', version: '1.2.0', why });
        }
    });

    test('firmware that never gets healthy goes back by itself, and says why', async () => {
        for (const [behaviour, why] of [['unhealthy', /own check failed/], ['no_network', /no network was reached/],
            ['never_confirms', /own check said nothing/]]) {
            const d = await veteran({ scenario: { '1.2.0': { behaviour, confirm_after_ms: 300, deadline_ms: 1500 }, ...ANY } });
            assert.equal((await d.upload(v12)).status, 200);
            const s = await d.seen('back', x => x.went_back && x.running.version === '1.1.0');
            assert.equal(s.went_back.version, '1.2.0');
            assert.match(s.went_back.why, why);
        }
    });

    test('an upload that was cut goes on where it stood', async () => {
        const d = await veteran(), big = await bench.image('1.2.0', { size: 400000 }), bytes = fs.readFileSync(big);
        const sha = sha256(bytes);
        const half = d.raw();
        await half.write(head('POST', UPLOAD, { 'Content-Length': bytes.length, 'X-Firmware-SHA256': sha }));
        await half.write(bytes.subarray(0, 150000));
        await d.seen('half of it', s => s.update.written > 131072);
        half.close();
        const { resume } = await d.seen('the way on', s => s.resume);
        assert.deepEqual(resume, { size: bytes.length, sha256: sha, wanted: 131072 });
        const rest = bench.file(bytes.subarray(resume.wanted)), range = from => ['-H', `X-Firmware-SHA256: ${sha}`, '-H',
            `Content-Range: bytes ${from}-${bytes.length - 1}/${bytes.length}`];
        refused(await d.upload(bench.file(bytes.subarray(65536)), ...range(65536)), 409, 'wrong_offset', /131072/);
        refused(await d.upload(rest, '-H', `Content-Range: bytes 131072-${bytes.length - 1}/${bytes.length}`), 400,
            'bad_content_range');
        refused(await d.upload(rest, '-H', `X-Firmware-SHA256: ${sha}`, '-H', 'Content-Range: bytes 1-2/3'), 400,
            'bad_content_range');
        await updated(d, await d.upload(rest, ...range(131072)), big, '1.2.0');
        assert.equal((await d.status()).resume, null);
    });

    test('firmware that crashes at its start goes back, and is named', async () => {
        const d = await veteran({ scenario: { '1.2.0': { behaviour: 'crash_at_boot' }, ...ANY } });
        assert.equal((await d.upload(v12)).status, 200);
        const s = await d.seen('back', x => x.boot_id >= 3 && x.running.version === '1.1.0');
        assert.equal(s.went_back.version, '1.2.0');
        assert.match(s.went_back.why, /restarted unconfirmed/);
        assert.match(d.log, /Guru Meditation/);
        await updated(d, await d.upload(await bench.image('1.3.0')), await bench.image('1.3.0'), '1.3.0');
    });

    test('a boot loader without roll back', async () => {
        const d = await veteran({ args: ['--no-rollback'] });
        assert.equal((await d.status()).rollback, false);
        assert.match(d.log, /cannot roll back/);
        const reply = await d.upload(v12);
        assert.equal(reply.status, 200);
        const s = await d.runs('1.2.0', 'undefined');
        assert.equal(s.can_confirm, false);
        assert.equal((await d.curl(CONFIRM, '-X', 'POST')).status, 200);
        assert.equal((await d.upload(v11)).status, 200);
        await d.runs('1.1.0', 'undefined');
    });

    test('switched off and on again, the same firmware runs', async () => {
        const d = await veteran();
        await updated(d, await d.upload(v12));
        await d.stop('SIGKILL');
        await d.start();
        await d.runs('1.2.0');
    });
});
