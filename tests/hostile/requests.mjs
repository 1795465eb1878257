// The hostile requests: one table for the push door. Each is sent over a connection of its own; what is expected is the
// reply's status and its Otter-Result, null where the HTTP server itself refuses before the door is asked; status 0 is
// a connection that is closed without a word.
import { setTimeout as sleep } from 'node:timers/promises';
import { head, sha256 } from '../e2e/device.mjs';

const UPLOAD = '/api/v1/firmware/upload', UPDATE = '/update', STATUS = '/api/v1/firmware/status';
const CONFIRM = '/api/v1/firmware/confirm', ROLLBACK = '/api/v1/firmware/rollback', RESTART = '/api/v1/restart';
const FORM = { 'Content-Type': 'multipart/form-data; boundary=XyZ' };
const FILE = '--XyZ\r\nContent-Disposition: form-data; name="f"; filename="a.bin"\r\n\r\n', END = '\r\n--XyZ--\r\n';

// Sends pieces as they are; then waits for the reply.
const pieces = (...list) => async ({ raw }) => {
    for (const piece of list) await raw.write(Buffer.from(piece, 'latin1'));
    return raw.reply();
};

// As above, but the sender ends its side, so that nothing more is waited for.
const ended = (...list) => async ({ raw }) => {
    for (const piece of list) await raw.write(Buffer.from(piece, 'latin1'));
    raw.socket.end();
    return raw.reply();
};

const post = (target, headers, body = '') => pieces(head('POST', target, { 'Content-Length': body.length, ...headers }),
    body);
const form = body => post(UPDATE, FORM, body);

// For ever, until the device has enough.
const endless = (request, chunk) => async ({ raw }) => {
    await raw.write(request);
    while (await raw.write(chunk));
    return raw.reply();
};

// An upload that is under way, and what another one is told meanwhile; then it is broken off.
const while_receiving = (image, other) => async ({ d, raw }) => {
    await raw.write(head('POST', UPLOAD, { 'Content-Length': image.length }));
    await raw.write(image.subarray(0, 6000));
    await d.seen('the first', s => s.update.received === 6000);
    const second = d.raw();
    const reply = await other({ d, raw: second });
    second.close();
    raw.close();
    await d.seen('the end', s => s.update.state === 'failed');
    return reply;
};

// [name, status, error, send]
export function hostile_requests(image) {
    const text = image.toString('latin1'), size = image.length, sha = sha256(image);
    const length = { 'Content-Length': size }, junk = 'x'.repeat(5000);
    const range = (value, headers = { 'X-Firmware-SHA256': sha }) =>
        post(UPLOAD, { ...headers, 'Content-Range': value }, text);
    const auth = value => post(RESTART, { Authorization: value, Origin: 'http://evil.example' });
    const aside = [
        // Headers.
        ['a header of 64 KiB', 431, null, pieces(head('POST', UPLOAD, { 'X-Long': 'x'.repeat(65536), ...length }))],
        ['a path of 64 KiB', 414, null, pieces(head('GET', '/' + 'z'.repeat(65536)))],
        ['1,000 headers', 431, null, pieces(head('POST', UPLOAD,
            Object.fromEntries(Array.from({ length: 1000 }, (_, i) => ['X-' + i, 'y'.repeat(60)]))))],
        ['a request line without version', 0, null, ended('GET\r\n\r\n')],
        ['HTTP/9.9', 505, null, ended('GET / HTTP/9.9\r\n\r\n')],
        ['TLS', 0, null, ended('\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03')],
        ['zeros', 0, null, ended('\0'.repeat(200))],
        ['two spaces before the path', 200, null, ended('GET  ' + STATUS + ' HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n')],
        ['a folded header', 200, null, ended(`GET ${STATUS} HTTP/1.1\r\nHost: 127.0.0.1\r\nX-A: b\r\n c\r\n\r\n`)],

        // Paths.
        ['NUL in the path', 404, 'not_found', pieces(head('GET', STATUS + '%00x'))],
        ['NUL at the path\'s end', 404, 'not_found', post(RESTART + '%00', {})],
        ['a path upwards', 404, 'not_found', pieces(head('GET', '/../../etc/passwd'))],
        ['a path upwards, escaped', 404, 'not_found', pieces(head('GET', '/%2e%2e/%2e%2e/etc/passwd'))],
        ['a doubled slash', 404, 'not_found', post('//update', {}, text)],
        ['another case', 404, 'not_found', post('/UPDATE', {}, text)],

        // Methods.
        ['GET restarts nothing', 405, 'method_not_allowed', pieces(head('GET', RESTART))],
        ['GET rolls nothing back', 405, 'method_not_allowed', pieces(head('GET', ROLLBACK))],
        ['HEAD updates nothing', 405, 'method_not_allowed', async ({ raw }) => {
            await raw.write(head('HEAD', UPDATE));
            await sleep(300);
            const reply = raw.bytes.toString('latin1');
            return { status: Number(reply.slice(9, 12)), body: '', headers: {
                'otter-result': /Otter-Result: (\w+)/i.exec(reply)?.[1] } };
        }],
        ['TRACE', 405, 'method_not_allowed', pieces(head('TRACE', STATUS))],
        ['a method of 1,000 letters', 405, 'method_not_allowed', pieces(head('A'.repeat(1000), STATUS))],
        ['a method in small letters', 405, 'method_not_allowed', pieces(head('post', RESTART))],
        ['a method that says another by header', 405, 'method_not_allowed',
            pieces(head('GET', RESTART, { 'X-HTTP-Method-Override': 'POST' }))],

        // Who asks.
        ['foreign Host', 403, 'foreign_host', post(RESTART, { Host: 'evil.example' })],
        ['foreign Host, reading', 403, 'foreign_host', pieces(head('GET', STATUS, { Host: 'rebound.example:80' }))],
        ['Host like an address', 403, 'foreign_host', post(RESTART, { Host: '127.0.0.1.evil.example' })],
        ['empty Host', 403, 'foreign_host', post(RESTART, { Host: '' })],
        ['foreign Origin', 403, 'foreign_origin', post(RESTART, { Origin: 'http://evil.example' })],
        ['Origin null', 403, 'foreign_origin', post(RESTART, { Origin: 'null' })],
        ['Origin of the same host, https', 403, 'foreign_origin', post(RESTART, { Origin: 'https://127.0.0.1:1' })],
        ['foreign Referer', 403, 'foreign_origin', post(RESTART, { Referer: 'http://evil.example/127.0.0.1' })],
        ['Sec-Fetch-Site: cross-site', 403, 'foreign_origin', post(RESTART, { 'Sec-Fetch-Site': 'cross-site' })],
        ['a form from a foreign page', 403, 'foreign_origin',
            post(UPDATE, { ...FORM, Origin: 'http://evil.example' }, FILE + text + END)],
        ...['', 'Basic', 'Basic ====', 'Basic ' + 'A'.repeat(4000), 'Bearer', 'Digest username="a"', '\x01\x02', ':::']
            .map((value, i) => [`malformed Authorization ${i + 1}, and a foreign Origin`, 403, 'foreign_origin',
                auth(value)]),

        // Lengths.
        ['no length', 523, 'empty', pieces(head('POST', UPLOAD))],
        ['length 0', 523, 'empty', post(UPLOAD, {})],
        ['a negative length', 400, null, pieces(head('POST', UPLOAD, { 'Content-Length': '-1' }))],
        ['a length that is no number', 400, null, pieces(head('POST', UPLOAD, { 'Content-Length': '12abc' }))],
        ['a length in hex', 400, null, pieces(head('POST', UPLOAD, { 'Content-Length': '0x100' }))],
        ['a length of 2^32', 413, 'too_big',
            pieces(head('POST', UPLOAD, { 'Content-Length': 2 ** 32, Expect: '100-continue' }))],
        ['a length of 2^64', 413, null, pieces(head('POST', UPLOAD, { 'Content-Length': '18446744073709551616' }))],
        ['a length of 40 digits', 413, null, pieces(head('POST', UPLOAD, { 'Content-Length': '9'.repeat(40) }))],

        // Ranges.
        ['Content-Range without SHA-256', 400, 'bad_content_range', range(`bytes 0-${size - 1}/${size}`, {})],
        ['Content-Range in other units', 400, 'bad_content_range', range('lines 1-2/3')],
        ['Content-Range without numbers', 400, 'bad_content_range', range('bytes */*')],
        ['Content-Range backwards', 400, 'bad_content_range', range(`bytes ${size}-0/${size}`)],
        ['Content-Range not to the end', 400, 'bad_content_range', range(`bytes 0-${size - 2}/${size}`)],
        ['Content-Range of another length', 400, 'bad_content_range', range(`bytes 16-${size - 1}/${size}`)],
        ['Content-Range below zero', 400, 'bad_content_range', range(`bytes -16-${size - 1}/${size}`)],
        ['Content-Range beyond 32 bits', 400, 'bad_content_range', range('bytes 4294967296-4294967297/4294967298')],
        ['Content-Range that wraps', 400, 'bad_content_range', range('bytes 1-4294967295/0')],
        ['Content-Range of something never begun', 409, 'wrong_offset', post(UPLOAD, { 'X-Firmware-SHA256': sha,
            'Content-Range': `bytes 4096-${size - 1}/${size}` }, text.slice(4096))],
        ['a SHA-256 of 63 digits', 400, 'bad_argument', post(UPLOAD, { 'X-Firmware-SHA256': '0'.repeat(63) }, text)],

        // Bodies.
        ['a body that never ends, chunked, nowhere', 0, null, endless(head('POST', '/nowhere',
            { 'Transfer-Encoding': 'chunked' }), `10000\r\n${'x'.repeat(65536)}\r\n`)],
        ['a body that never ends, unwanted', 0, null, endless(head('POST', CONFIRM, { 'Content-Length': 2 ** 40 }),
            'x'.repeat(65536))],
        ['a slow sender of what was refused', 0, null, async ({ raw }) => {
            await raw.write(head('POST', UPLOAD, { 'Content-Length': 100000, Origin: 'null' }));
            while (await raw.write('slow')) await Promise.race([sleep(200), raw.closed]);
            return raw.reply();
        }],
    ];
    const alone = [
        // Transfer-Encoding.
        ['chunked, no hex', 400, null, pieces(head('POST', UPLOAD, { 'Transfer-Encoding': 'chunked' }), 'zz\r\n')],
        ['chunked, a size beyond 64 bits', 413, null, pieces(head('POST', UPLOAD, { 'Transfer-Encoding': 'chunked' }),
            'f'.repeat(17) + '\r\n')],
        ['chunked, a negative size', 400, null, pieces(head('POST', UPLOAD, { 'Transfer-Encoding': 'chunked' }),
            '-1\r\n')],
        ['chunked, nothing in it', 523, 'empty', pieces(head('POST', UPLOAD, { 'Transfer-Encoding': 'chunked' }),
            '0\r\n\r\n')],
        ['chunked, junk', 523, 'bad_magic', pieces(head('POST', UPLOAD, { 'Transfer-Encoding': 'chunked' }),
            '4\r\njunk\r\n0\r\n\r\n')],
        ['chunked and a length: the chunks count', 523, 'bad_magic', pieces(head('POST', UPLOAD, { 'Transfer-Encoding': 'chunked',
            'Content-Length': 4 }), '4\r\njunk\r\n0\r\n\r\n')],
        ['an unknown Transfer-Encoding', 411, 'length_required', pieces(head('POST', UPLOAD, { 'Transfer-Encoding': 'gzip' }),
            junk)],

        // Lengths that lie.
        ['fewer bytes than announced', 0, null, ended(head('POST', UPLOAD, { 'Content-Length': size + 1 }), text)],
        ['more bytes than announced', 523, 'truncated', pieces(head('POST', UPLOAD, { 'Content-Length': size - 16 }),
            text)],
        ['garbage pipelined behind a refusal', 523, 'bad_magic', pieces(head('POST', UPLOAD,
            { 'Content-Length': 4 }) + 'junk' + junk)],
        ['a second upload pipelined behind a refusal', 523, 'bad_magic', pieces(
            (head('POST', UPLOAD, { 'Content-Length': 4 }) + 'junk').repeat(2))],
        ['two lengths: the first counts', 523, 'bad_magic', pieces(`POST ${UPLOAD} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\n` +
            'Content-Length: 5\r\n\r\njunk')],

        // Forms.
        ['form: nothing', 400, 'bad_multipart', form('')],
        ['form: only its end', 400, 'bad_multipart', form('--XyZ--\r\n')],
        ['form: no file', 400, 'bad_multipart', form(
            '--XyZ\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + text + END)],
        ['form: another boundary', 400, 'bad_multipart', form((FILE + text + END).replaceAll('XyZ', 'Zyx'))],
        ['form: cut in its headers', 400, 'bad_multipart', form(FILE.slice(0, -4))],
        ['form: cut behind its headers', 400, 'bad_multipart', form(FILE)],
        ['form: cut in the file', 400, 'bad_multipart', form(FILE + text.slice(0, 5000))],
        ['form: whole file, no end', 400, 'bad_multipart', form(FILE + text)],
        ['form: a header line of 64 KiB', 400, 'bad_multipart', form(FILE.replace('form-data', 'x'.repeat(65536)))],
        ['form: an empty file', 523, 'empty', form(FILE + END)],
        ['form: junk', 523, 'bad_magic', form(FILE + junk + END)],
        ['form: a boundary of 71 letters is no form', 523, 'bad_magic', post(UPDATE,
            { 'Content-Type': 'multipart/form-data; boundary=' + 'b'.repeat(71) }, FILE + text + END)],
        ['form: no boundary is no form', 523, 'bad_magic', post(UPDATE, { 'Content-Type': 'multipart/form-data' },
            FILE + text + END)],

        // Two at once.
        ['a second upload', 409, 'busy', while_receiving(image, post(UPLOAD, {}, text))],
        ['a second upload, as a form', 409, 'busy', while_receiving(image, form(FILE + text + END))],
        ['a restart in the middle', 409, 'busy', while_receiving(image, post(RESTART, {}))],
        ['a roll back in the middle', 409, 'busy', while_receiving(image, post(ROLLBACK, {}))],
        ['another SHA-256 than announced', 523, 'wrong_digest', post(UPLOAD, { 'X-Firmware-SHA256': '0'.repeat(64) },
            text)],
    ];
    const case_of = only => ([name, status, error, send]) => ({ name, status, error, send, alone: only });
    return [...aside.map(case_of(false)), ...alone.map(case_of(true))];
}

// Those about files, for a device that has some; none of them changes one.
export function hostile_file_requests() {
    const at = name => '/api/v1/files/' + name, put = (name, headers, body = '') =>
        pieces(head('PUT', at(name), { 'Content-Length': body.length, ...headers }), body);
    const foreign = { Origin: 'http://evil.example' };
    const list = [
        // Names.
        ['a name that ends at NUL', 400, 'bad_file_name', pieces(head('DELETE', at('kept%00')))],
        ['a name behind NUL', 400, 'bad_file_name', pieces(head('DELETE', at('%00kept')))],
        ['upwards', 400, 'bad_file_name', pieces(head('GET', at('../info')))],
        ['upwards, escaped', 400, 'bad_file_name', pieces(head('GET', at('%2e%2e%2finfo')))],
        ['upwards, escaped twice', 404, 'not_found', pieces(head('GET', at('%252e%252e%252finfo')))],
        ['an absolute path', 400, 'bad_file_name', pieces(head('GET', at('/etc/passwd')))],
        ['a drive', 400, 'bad_file_name', put('0%3akept', {}, 'x')],
        ['what is on its way', 400, 'bad_file_name', put('.new', {}, 'x')],
        ['an overlong slash', 400, 'bad_file_name', put('a%c0%afb', {}, 'x')],
        ['half an escape', 400, 'bad_file_name', put('kept%6', {}, 'x')],
        ['raw bytes that are no UTF-8', 400, 'bad_file_name', put('k\xff', {}, 'x')],
        ['a name of 10,000 letters', 400, 'bad_file_name', put('n'.repeat(10000), {}, 'x')],
        ['an option for a program', 404, 'not_found', pieces(head('DELETE', at('-rf')))],
        ['a pattern', 400, 'bad_file_name', pieces(head('DELETE', at('*')))],
        ['another pattern', 404, 'not_found', pieces(head('DELETE', at('[a-z]ept')))],

        // Methods and who asks.
        ['delete in small letters', 405, 'method_not_allowed', pieces(head('delete', at('kept')))],
        ['GET that says DELETE by header', 200, null, pieces(head('GET', at('kept'), { 'X-HTTP-Method-Override': 'DELETE' }))],
        ['a foreign DELETE', 403, 'foreign_origin', pieces(head('DELETE', at('kept'), foreign))],
        ['a foreign emptying', 403, 'foreign_origin', pieces(head('DELETE', at(''), foreign))],
        ['a foreign PUT', 403, 'foreign_origin', put('kept', foreign, 'x')],
        ['a foreign form', 403, 'foreign_origin', pieces(head('POST', at('kept'), { ...foreign, 'Content-Length': 1 }), 'x')],
        ['reading under a foreign Host', 403, 'foreign_host', pieces(head('GET', at('kept'), { Host: 'rebound.example' }))],
        ['a part that is not given', 200, null, pieces(head('GET', at('kept'), { Range: 'bytes=9999999-' }))],

        // Bodies.
        ['chunked, no hex', 400, null, pieces(head('PUT', at('kept'), { 'Transfer-Encoding': 'chunked' }), 'zz\r\n')],
        ['an unknown Transfer-Encoding', 411, 'length_required', put('kept', { 'Transfer-Encoding': 'gzip' }, 'x')],
        ['a negative length', 400, null, pieces(head('PUT', at('kept'), { 'Content-Length': '-1' }))],
        ['a length of 2^32', 413, 'files_full', pieces(head('PUT', at('kept'), { 'Content-Length': 2 ** 32, Expect: '100-continue' }))],
        ['a length of 2^32 + 1', 413, 'files_full',
            pieces(head('PUT', at('kept'), { 'Content-Length': 2 ** 32 + 1, Expect: '100-continue' }))],
        ['a length of 2^64', 413, null, pieces(head('PUT', at('kept'), { 'Content-Length': '18446744073709551616' }))],
        ['fewer bytes than announced', 0, null, ended(head('PUT', at('kept'), { 'Content-Length': 9 }), 'x')],
        ['a chunk that breaks off', 0, null, ended(head('PUT', at('kept'), { 'Transfer-Encoding': 'chunked' }), '9\r\nx')],
        ['a body that never ends', 0, null, endless(head('PUT', at('kept'), { 'Transfer-Encoding': 'chunked' }),
            `10000\r\n${'x'.repeat(65536)}\r\n`)],
        ['a body that never ends, for no name', 0, null, endless(head('PUT', at('%2f'), { 'Transfer-Encoding': 'chunked' }),
            `10000\r\n${'x'.repeat(65536)}\r\n`)],
        ['a body for who only reads', 200, null, pieces(head('GET', at('kept'), { 'Content-Length': 5 }), 'hello')],
        ['PUT behind a refusal, pipelined', 400, 'bad_file_name', pieces(head('PUT', at('%2f'), { 'Content-Length': 1 }) + 'x' +
            head('DELETE', at('*')))],
    ];
    return list.map(([name, status, error, send]) => ({ name, status, error, send, alone: true }));
}
