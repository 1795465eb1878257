// What a hostile channel may serve: descriptors, replies, images. One device takes it all, each with the designed error and
// without a change of its flash; then a good update goes through.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { Bench, patched, sha256 } from './device.mjs';
import { serve } from './nginx.mjs';

const bench = new Bench();
after(() => bench.close());
const v10 = await bench.image('1.0.0'), v11 = await bench.image('1.1.0'), good = fs.readFileSync(v11);
const odd = async (version, options) => fs.readFileSync(await bench.image(version, options));

const json = o => (q, r) => r.end(typeof o === 'string' ? o : JSON.stringify(o));
const reply = (status, headers = {}, body = '') => (q, r) => { r.writeHead(status, headers); r.end(body); };
// Bytes as they are, and then the end of the connection.
const raw = text => (q, r) => { r.socket.write(text); setTimeout(() => r.socket.destroy(), 50); };
const release = { version: '1.1.0', path: '/image' };
const many = n => Array.from({ length: n }, (_, i) => [`k${i}`, i]);

// [what, the descriptor's server, error, status]
const descriptors = [
    ['nothing', json(''), 'bad_descriptor'],
    ['no JSON', json('version: 1.1.0'), 'bad_descriptor'],
    ['a page', json('<!doctype html><title>Login</title>'), 'bad_descriptor'],
    ['single quotes', json("{'version':'1.1.0','path':'x'}"), 'bad_descriptor'],
    ['half of it', json('{"version":"1.1.0","pa'), 'bad_descriptor'],
    ['a list', json([release]), 'bad_descriptor'],
    ['a NUL', json('{"version":"1.1.0",\0"path":"x"}'), 'bad_descriptor'],
    ['too deep', json('['.repeat(5000)), 'bad_descriptor'],
    ['too many values', json({ ...release, ...Object.fromEntries(many(500)) }), 'bad_descriptor'],
    ['too large', json({ ...release, notes: 'x'.repeat(9000) }), 'bad_descriptor'],
    ['without end', (q, r) => { const more = () => { if (!r.destroyed) r.write(' '.repeat(4000), more); }; more(); }, 'bad_descriptor'],
    ['a bomb', reply(200, { 'Content-Encoding': 'gzip' }, gzipSync(' '.repeat(5e6))), 'bad_descriptor'],
    ['no gzip', reply(200, { 'Content-Encoding': 'gzip' }, 'not packed'), 'bad_reply'],
    ['packed otherwise', reply(200, { 'Content-Encoding': 'odd' }, 'x'), 'bad_reply'],
    ['a version of another kind', json({ version: 110, path: 'x' }), 'bad_descriptor'],
    ['a long version', json({ version: '1'.repeat(32), path: 'x' }), 'bad_descriptor'],
    ['a version that goes on behind its end', json('{"version":"1.1.0\\u0000junk","path":"/image"}'), 'bad_descriptor'],
    ['a key twice', json('{"version":"1.1.0","path":"/image","requires_full_flash":false,"requires_full_flash":true}'), 'bad_descriptor'],
    ['an oldest version that is none', json({ ...release, min_version: 'latest' }), 'bad_descriptor'],
    ['no path', json({ version: '1.1.0' }), 'bad_descriptor'],
    ['a path that is none', json({ version: '1.1.0', path: 'a b' }), 'bad_url'],
    ['a path of 5000 characters', json({ version: '1.1.0', path: 'x'.repeat(5000) }), 'bad_descriptor'],
    ['a path to a file', json({ version: '1.1.0', path: 'file:///etc/passwd' }), 'bad_url'],
    ['a path with a password', json({ version: '1.1.0', path: 'http://a:b@127.0.0.1/' }), 'bad_url'],
    ['a path over http to others', json({ version: '1.1.0', path: 'http://10.0.0.1/x' }), 'insecure_url', 403],
    ['a digest that is none', json({ ...release, sha256: 'abc' }), 'bad_descriptor'],
    ['a size that is none', json({ ...release, size: -5 }), 'bad_descriptor'],
    ['builds for others', json({ version: '1.1.0', builds: [{ chipFamily: 'ESP8266', parts: [] }] }), 'no_build'],
    ['one image over all of the flash', json({ version: '1.1.0', builds: [{ chipFamily: 'ESP32-C3', parts: [{ path: 'x', offset: 0 }] }] }), 'no_build'],
    ['404', reply(404), 'server_refused'],
    ['a status that is none', raw('HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n'), 'server_refused'],
    ['no HTTP', raw('SSH-2.0-OpenSSH_9.2\r\n'), 'bad_reply'],
    ['nothing at all', raw(''), 'server_unreachable'],
    ['304 for nothing', reply(304), 'server_refused'],
    ['a status that leads nowhere any more', reply(306, { Location: '/image' }), 'server_refused'],
    ['a redirect to a password', reply(302, { Location: 'http://a:b@127.0.0.1/' }), 'bad_reply'],
    ['a redirect of 6000 characters', reply(302, { Location: '/' + 'x'.repeat(6000) }), 'bad_reply'],
    ['a redirect to javascript', reply(302, { Location: 'javascript:alert(1)' }), 'bad_reply'],
    ['two lengths', raw('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 9\r\n\r\n{}'), null],
    ['a length that is none', raw('HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}'), null],
    ['broken chunks', raw('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}'), null],
    ['silence', () => {}, 'server_timeout'],
];

// [what, the image's server, error, words]
const images = [
    ['nothing', reply(200, { 'Content-Length': 0 }), 'empty'],
    ['a page', json('<!doctype html>' + 'x'.repeat(4000)), 'bad_magic'],
    ['an image of zeros', json('\0'.repeat(4000)), 'bad_magic'],
    ['packed', reply(200, { 'Content-Encoding': 'gzip' }, gzipSync(good)), 'bad_reply', /It is packed/],
    ['a part that nobody asked for', reply(206, { 'Content-Range': `bytes 5-9/${good.length}` }, 'hello'), 'bad_reply'],
    ['more than any flash', raw(`HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n`), 'too_big'],
    ['another version', async (q, r) => r.end(await odd('3.0.0')), 'wrong_version'],
    ['another project', async (q, r) => r.end(await odd('1.1.0', { project: 'other' })), 'wrong_project'],
    ['another chip', async (q, r) => r.end(await odd('1.1.0', { chip: 'esp32s3' })), 'wrong_chip'],
    ['too many segments', (q, r) => { const b = Buffer.from(good); b[1] = 200; r.end(b); }, 'bad_segment_count'],
    ['a redirect to itself', (q, r) => { r.writeHead(302, { Location: q.url }); r.end(); }, 'too_many_redirects'],
    ['a redirect to others over http', reply(302, { Location: 'http://10.0.0.1/x' }), 'insecure_url'],
    ['no entry', reply(403), 'server_refused'],
    ['gone', reply(410), 'server_refused'],
    ['not this', reply(406), 'server_refused'],
];

// These change the spare slot, as nobody can tell before.
const late = [
    ['cut short', (q, r) => r.end(good.subarray(0, 60000)), 'truncated'],
    ['one bit over', (q, r) => { const b = Buffer.from(good); b[90000] ^= 1; r.end(b); }, 'bad_checksum'],
    ['other bytes, in order', (q, r) => r.end(patched(v11, 90000, 'x')), 'wrong_digest', { sha256: sha256(good) }],
];

let descriptor, image;
const server = await serve((q, r) => (q.url === '/stable.json' ? descriptor : image)(q, r));
const board = bench.file(`ota:\n  channels:\n    - {name: stable, path: "${server.url}/stable.json"}\n`, '.yaml');
const d = await bench.device({ image: v10, table: 'two_ota_large', scenario: { '*': { behaviour: 'healthy', confirm_after_ms: 0 } },
    args: ['--board', board, '--ota', 'timeout=1', '--ota', 'deadline=3'] });
const SLOTS = 0x20000;  // behind settings and otadata
const update = () => fetch(d.url + '/api/v1/firmware/update', { method: 'POST' });

async function meets(error, status, words = /./) {
    const r = await update(), body = await r.text(), result = r.headers.get('otter-result');
    assert.ok(r.status >= 400, `${r.status} ${result}: ${body}`);
    if (error) assert.equal(result, error, body);
    assert.notEqual(result, 'unknown');
    if (status) assert.equal(r.status, status, body);
    assert.match(body, words);
    assert.equal((await d.status()).running.version, '1.0.0');
}

async function untouched(act) {
    const before = d.bytes().subarray(SLOTS);
    await act();
    assert.ok(d.bytes().subarray(SLOTS).equals(before), 'the slots have changed');
}

for (const [what, answer, error, status = 520] of descriptors)
    test(`a descriptor: ${what}`, () => untouched(() => {
        descriptor = answer;
        return meets(error, error && status);
    }));

for (const [what, answer, error, words] of images)
    test(`an image: ${what}`, () => untouched(() => {
        descriptor = json(release);
        image = answer;
        return meets(error, null, words);
    }));

for (const [what, answer, error, more] of late)
    test(`an image, seen at its end: ${what}`, () => {
        descriptor = json({ ...release, ...more });
        image = answer;
        return meets(error);
    });

test('and then a good one', async () => {
    descriptor = json({ ...release, size: good.length, sha256: sha256(good) });
    image = (q, r) => r.end(good);
    assert.equal((await update()).headers.get('otter-result'), 'switched');
    await d.runs('1.1.0');
    server.close();
});
