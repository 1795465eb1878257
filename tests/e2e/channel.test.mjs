// The channel door from outside: a device that fetches, a real nginx with TLS and a local CA, and servers that misbehave.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { Bench, OTTER, otter, patched, run, sha256, until } from './device.mjs';
import { Cutter, Nginx, serve } from './nginx.mjs';

const API = '/api/v1', ANY = { '*': { behaviour: 'healthy', confirm_after_ms: 0 } };
const bench = new Bench();
const nginx = await new Nginx(bench).start();
after(async () => {
    nginx.stop();
    await bench.close();
});

const v10 = await bench.image('1.0.0'), v11 = await bench.image('1.1.0'), big = await bench.image('1.1.0', { size: 900000 });
const text = file => fs.readFileSync(file);
const release = (file, version, path, more = {}) =>
    ({ version, path, size: text(file).length, sha256: sha256(text(file)), ...more });

nginx.put('1.0.0.bin', text(v10));
nginx.put('1.1.0.bin', text(v11));
nginx.put('big.bin', text(big));
nginx.put('stable.json', release(v11, '1.1.0', '1.1.0.bin'));
nginx.put('big.json', release(big, '1.1.0', 'big.bin'));

const board = channels => {
    const rows = Object.entries(channels).map(([name, path]) => `    - name: ${name}\n      path: ${path}\n`);
    return bench.file(`deviceName: test\nota:\n  channels:\n${rows.join('')}`, '.yaml');
};

// A device whose first channel is this URL.
const device = (url, { args = [], channels = {}, ...more } = {}) =>
    bench.device({ image: v10, table: 'two_ota_large', scenario: ANY,
        args: ['--board', board({ stable: url, ...channels }), '--ca', nginx.ca, ...args], ...more });

const ask = async (d, method, target, body, headers = {}) => {
    const type = body === undefined ? {} : { 'Content-Type': 'application/json' };
    const r = await fetch(d.url + API + target, { method, body, headers: { ...type, ...headers } });
    return { status: r.status, result: r.headers.get('otter-result'), body: await r.text(), type: r.headers.get('content-type') };
};
const update = (d, headers) => ask(d, 'POST', '/firmware/update', undefined, headers);
const check = d => ask(d, 'GET', '/firmware/check-update');
const choose = (d, name) => ask(d, 'POST', '/firmware/channel', JSON.stringify(name));
const channel = async d => (await d.status()).channel;

function answered(reply, status, result, words = /./) {
    assert.equal(reply.status, status, JSON.stringify(reply));
    assert.equal(reply.result, result, JSON.stringify(reply));
    assert.match(reply.body, words);
}

// Runs what it ran, and takes a good release from the channel "good".
async function unharmed(d, version = '1.0.0') {
    assert.equal((await d.status()).running.version, version);
    answered(await choose(d, 'good'), 200, null);
    answered(await update(d), 200, 'switched', /^OK$/);
    await d.runs('1.1.0');
}

const GOOD = { good: `${nginx.url()}/stable.json` };

async function refused(url, status, result, words, options) {
    const d = await device(url, { channels: GOOD, ...options });
    answered(await update(d), status, result, words);
    await unharmed(d);
}

describe('a channel', { concurrency: 4 }, () => {
    test('is looked at, chosen, and taken from', async () => {
        const d = await device(`${nginx.url()}/stable.json`, { channels: { testing: `${nginx.url()}/big.json` } });
        let r = await ask(d, 'GET', '/firmware/channels');
        assert.deepEqual([r.status, r.type, r.body], [200, 'application/json', '["stable","testing"]']);
        r = await ask(d, 'GET', '/firmware/channel');
        assert.deepEqual([r.status, r.body], [200, '"stable"']);
        r = await check(d);
        assert.equal(r.status, 200);
        const found = JSON.parse(r.body);
        assert.equal(found.available, '1.1.0');
        assert.equal(found.current, '1.0.0');
        assert.equal(found.verdict, 'update');
        r = await update(d);
        assert.deepEqual([r.status, r.body, r.result], [200, 'OK', 'switched']);
        await d.runs('1.1.0');
        r = await update(d);
        assert.deepEqual([r.status, r.body, r.result], [200, 'OK', 'already_current']);
        assert.equal(JSON.parse((await check(d)).body).verdict, 'current');
        assert.equal((await d.status()).running.version, '1.1.0');
    });

    test('is kept over a restart, and fallen back from when it is no more', async () => {
        const d = await device(`${nginx.url()}/stable.json`, { channels: { testing: `${nginx.url()}/big.json` } });
        answered(await choose(d, 'testing'), 200, null, /^OK$/);
        await d.stop();
        await d.start();
        assert.equal((await ask(d, 'GET', '/firmware/channel')).body, '"testing"');
        await d.stop();
        d.options.args[1] = board({ stable: `${nginx.url()}/stable.json` });
        await d.start();
        assert.equal((await ask(d, 'GET', '/firmware/channel')).body, '"stable"');
        assert.equal((await channel(d)).vanished, 'testing');
        await d.said(/"testing" is no more; it is "stable" now/);
    });

    test('is refused if it is none', async () => {
        const d = await device(`${nginx.url()}/stable.json`);
        answered(await choose(d, 'nobody'), 404, 'no_channel');
        answered(await choose(d, 'x'.repeat(64)), 404, 'no_channel');
        answered(await choose(d, 'x'.repeat(3000)), 413, 'body_too_large');
        answered(await ask(d, 'POST', '/firmware/channel', '"stable\\u0000evil"'), 400, 'bad_argument');
        answered(await choose(d, 7), 400, 'bad_argument');
        answered(await choose(d, { a: 1 }), 400, 'bad_argument');
        answered(await ask(d, 'POST', '/firmware/channel', 'stable'), 400, 'bad_argument');
        answered(await ask(d, 'POST', '/firmware/channel', '"stable"', { 'Content-Type': 'text/plain' }), 415, 'not_json', /^Not JSON body/);
        answered(await ask(d, 'POST', '/firmware/channel', '"stable"', { 'Content-Type': 'application/json; charset=utf-8' }), 200, null);
        answered(await ask(d, 'DELETE', '/firmware/channel'), 405, 'method_not_allowed');
    });

    test('is nowhere on a device without a board configuration', async () => {
        const d = await bench.device({ image: v10, scenario: ANY });
        assert.equal((await ask(d, 'GET', '/firmware/channels')).body, '[]');
        answered(await ask(d, 'GET', '/firmware/channel'), 404, 'no_channel');
        answered(await check(d), 404, 'no_channel');
        answered(await update(d), 404, 'no_channel');
        assert.equal(await channel(d), null);
        const json = JSON.stringify({ ota: { channels: [{ name: 'a', path: 'https://h/x.json' }] } });
        answered(await ask(d, 'PUT', '/board', json), 200, null, /^OK$/);
        assert.equal((await ask(d, 'GET', '/board')).body, json);
        answered(await ask(d, 'PUT', '/board', json.replace(/}$/, ',"ota":{}}')), 400, 'bad_board', /each key in it once/);
        answered(await ask(d, 'PUT', '/board', '{"ota":{"channels":[]}}'), 400, 'bad_board', /there is no channel/);
        assert.equal((await ask(d, 'GET', '/board')).body, json);
        await d.stop();
        await d.start();
        assert.equal((await ask(d, 'GET', '/board')).body, json);
    });

    test('of a board.yaml that is bad leaves the last good one in force', async () => {
        const d = await device(`${nginx.url()}/stable.json`);
        await d.stop();
        d.options.args[1] = bench.file('ota:\n  channels:\n    - name: x\n', '.yaml');
        await d.start();
        await d.said(/line 3: a channel has no path; the last good one stays in force/);
        assert.equal((await ask(d, 'GET', '/firmware/channels')).body, '["stable"]');
    });

    test('comes out of board.yaml by the tool', async () => {
        const url = `${nginx.url()}/stable.json`, file = board({ stable: url, 'bleeding edge': `${nginx.url()}/big.json` });
        const checked = await otter(['board', 'check', file]), json = await otter(['board', 'json', file]);
        assert.match(checked.out, /^stable .*stable\.json \(default\)\nbleeding edge .*big\.json\n$/);
        const table = bench.file((await otter(['board', 'nvs', file])).out, '.csv'), nvs = bench.file('');
        assert.equal((await otter(['nvs', 'build', table, '-o', nvs, '--size', '24K'])).code, 0);
        assert.equal((await otter(['nvs', 'get', nvs, 'ota', 'channels'])).out.trim(), json.out.trim());
        const d = await bench.device({ image: v10, scenario: ANY, args: ['--ca', nginx.ca] });
        const recipe = /otter (board json board\.yaml[^]*?\/board)\n/.exec((await otter(['board', '--help'])).out)[1];
        const sent = await run('sh', ['-c', `"${OTTER}" ${recipe.replace('board.yaml', file).replace('http://DEVICE', d.url)}`]);
        assert.equal(sent.out, 'OK', sent.err);
        assert.equal((await ask(d, 'GET', '/board')).body, json.out.trim());
        answered(await update(d), 200, 'switched');
        const bad = await otter(['board', 'check', bench.file('a: 1\nota:\n  channels: 7\n', '.yaml')]);
        assert.deepEqual([bad.code, bad.err.replace(/^.*, line/, 'line')], [3, 'line 3: "channels" is no list\n']);
    });

    test('is asked by other sites in vain', async () => {
        const d = await device(`${nginx.url()}/stable.json`);
        const evil = { Origin: 'http://evil.example' };
        for (const [method, target, body] of [['POST', '/firmware/update'], ['DELETE', '/firmware/update'],
            ['POST', '/firmware/channel', '"stable"'], ['PUT', '/board', '{}']])
            answered(await ask(d, method, target, body, evil), 403, 'foreign_origin');
    });
});

describe('a check', { concurrency: 4 }, () => {
    test('costs a 304 the second time', async () => {
        nginx.put('etag.json', release(v11, '1.1.0', '1.1.0.bin'));
        const d = await device(`${nginx.url()}/etag.json`);
        for (let i = 0; i < 3; i++) assert.equal(JSON.parse((await check(d)).body).available, '1.1.0');
        await until('the log', () => nginx.sent('/etag.json').length === 3);
        assert.deepEqual(nginx.sent('/etag.json').map(l => l.status), [200, 304, 304]);
        // nginx tells files apart by second and size.
        nginx.put('etag.json', release(v11, '1.20.0', '1.1.0.bin'));
        assert.equal(JSON.parse((await check(d)).body).available, '1.20.0');
    });

    test('of another channel, and back, is whole again', async () => {
        for (const [name, version] of [['one', '1.1.0'], ['two', '1.2.0']]) nginx.put(`${name}.json`, release(v11, version, '1.1.0.bin'));
        const d = await device(`${nginx.url()}/one.json`, { channels: { two: `${nginx.url()}/two.json` } });
        for (const [name, version] of [['stable', '1.1.0'], ['two', '1.2.0'], ['two', '1.2.0'], ['stable', '1.1.0']]) {
            answered(await choose(d, name), 200, null);
            assert.equal(JSON.parse((await check(d)).body).available, version);
        }
        await until('the log', () => nginx.sent('/one.json').length === 2 && nginx.sent('/two.json').length === 2);
        assert.deepEqual([...nginx.sent('/one.json'), ...nginx.sent('/two.json')].map(l => l.status), [200, 200, 200, 304]);
    });

    test('takes it packed', async () => {
        const s = await serve((q, r) => {
            assert.match(q.headers['accept-encoding'], /gzip/);
            r.writeHead(200, { 'Content-Encoding': 'gzip' });
            r.end(gzipSync(JSON.stringify({ version: '9.0.0', path: 'x', notes: 'y'.repeat(300) })));
        });
        const d = await device(s.url + '/x.json');
        assert.equal(JSON.parse((await check(d)).body).available, '9.0.0');
        s.close();
    });

    test('need not be waited for', async () => {
        const slow = await serve((q, r) => setTimeout(() => r.end(JSON.stringify({ version: '1.1.0', path: 'x' })), 700));
        const d = await device(`${slow.url}/stable.json`);
        answered(await ask(d, 'GET', '/firmware/check-update', undefined, { Prefer: 'respond-async' }), 202, 'started', /^OK$/);
        await d.seen('the check under way', s => s.channel.state === 'checking');
        await d.seen('what it found', s => s.channel.verdict === 'update' && s.channel.available === '1.1.0');
        slow.close();
    });

    test('has no place while an update is under way, and none is made of its channel', async () => {
        const d = await device(`${nginx.url()}/slow/stable.json`, { channels: GOOD });
        const taken = update(d);
        await d.seen('an update on its way', s => s.channel.state === 'receiving');
        answered(await check(d), 409, 'busy');
        answered(await choose(d, 'good'), 409, 'busy');
        answered(await taken, 200, 'switched');
    });

    test('by itself, and takes what it finds if it may', async () => {
        nginx.put('auto.json', release(v11, '1.1.0', '1.1.0.bin'));
        const d = await device(`${nginx.url()}/auto.json`, { args: ['--ota', 'interval=60', '--ota', 'auto=1'] });
        await d.runs('1.1.0', 'valid', 30000);
    });

    test('reads the manifest of ESP Web Tools', async () => {
        nginx.put('manifest.json', { name: 'x', version: '1.1.0', builds: [
            { chipFamily: 'ESP32', parts: [{ path: 'no.bin', offset: 0x10000 }] },
            { chipFamily: 'ESP32-C3', parts: [{ path: 'b.bin', offset: 0 }, { path: '1.1.0.bin', offset: 0x20000 }] }] });
        const d = await device(`${nginx.url()}/manifest.json`);
        answered(await update(d), 200, 'switched');
        await d.runs('1.1.0');
    });
});

describe('versions', { concurrency: 4 }, () => {
    test('an older one is taken if it is asked for', async () => {
        nginx.put('older.json', release(v10, '1.0.0', '1.0.0.bin'));
        const d = await bench.device({ image: v11, table: 'two_ota_large', scenario: ANY,
            args: ['--board', board({ stable: `${nginx.url()}/older.json` }), '--ca', nginx.ca] });
        assert.equal(JSON.parse((await check(d)).body).verdict, 'older');
        answered(await update(d), 409, 'older_version');
        answered(await update(d, { 'X-Firmware-Older': 'accepted' }), 200, 'switched');
        await d.runs('1.0.0');
    });

    test('another channel counts as asked for, once', async () => {
        const testing = await bench.image('v2.2.0'), stable = await bench.image('v2.1.1');
        nginx.put('v2.1.1.bin', text(stable));
        nginx.put('v2.2.0.bin', text(testing));
        nginx.put('s.json', release(stable, 'v2.1.1', 'v2.1.1.bin'));
        nginx.put('t.json', release(testing, 'v2.2.0', 'v2.2.0.bin'));
        const d = await bench.device({ image: testing, table: 'two_ota_large', scenario: ANY,
            args: ['--board', board({ testing: `${nginx.url()}/t.json`, stable: `${nginx.url()}/s.json` }), '--ca', nginx.ca] });
        answered(await update(d), 200, 'already_current');
        await choose(d, 'stable');
        assert.equal(JSON.parse((await check(d)).body).verdict, 'update');
        answered(await update(d), 200, 'switched');
        await d.runs('v2.1.1');
        answered(await update(d), 200, 'already_current');
        // Flashed by hand to the newer one, it is not drawn back.
        const up = await d.upload(testing);
        assert.equal(up.status, 200, up.body);
        await d.runs('v2.2.0');
        answered(await update(d), 409, 'older_version');
    });

    test('what needs a cable is not tried', async () => {
        nginx.put('cable.json', { version: '2.0.0', requires_full_flash: true, notes: 'The partition table is another one.' });
        await refused(`${nginx.url()}/cable.json`, 409, 'needs_cable', /partition table is another/);
    });

    test('what is as new as asked for is taken', async () => {
        nginx.put('near.json', release(v11, '1.1.0', '1.1.0.bin', { min_version: 'v1.0' }));
        const d = await device(`${nginx.url()}/near.json`);
        assert.equal(JSON.parse((await check(d)).body).verdict, 'update');
        answered(await update(d), 200, 'switched');
        await d.runs('1.1.0');
    });

    test('what is too far is not tried', async () => {
        nginx.put('far.json', release(v11, '1.1.0', '1.1.0.bin', { min_version: '1.0.5' }));
        await refused(`${nginx.url()}/far.json`, 409, 'version_too_far', /./);
    });
});

describe('the wrong binary', { concurrency: 4 }, () => {
    const untouched = async (d, result) => {
        const before = d.bytes().subarray(0x1d0000);
        answered(await update(d), 521, result);
        assert.ok(d.bytes().subarray(0x1d0000).equals(before), 'the spare slot has changed');
        await unharmed(d);
    };

    test('of another version', async () => {
        nginx.put('wrong.json', { version: '2.0.0', path: '1.1.0.bin' });
        await untouched(await device(`${nginx.url()}/wrong.json`, { channels: GOOD }), 'wrong_version');
    });

    test('is found out once, not again and again', async () => {
        nginx.put('loop.json', { version: '2.0.0', path: '/loops.bin' });
        nginx.put('loops.bin', text(v11));
        const d = await device(`${nginx.url()}/loop.json`, { args: ['--ota', 'interval=60', '--ota', 'auto=1'] });
        await until('the first try', () => nginx.sent('/loops.bin').length > 0, 30000);
        await until('it to be told', async () => (await channel(d)).error === 'wrong_version');
        await until('the log', () => nginx.sent('/loops.bin').length > 0);
        assert.equal(nginx.sent('/loops.bin').length, 1);
    });

    test('of another project', async () => {
        const odd = await bench.image('1.1.0', { project: 'other' });
        nginx.put('project.bin', text(odd));
        nginx.put('project.json', release(odd, '1.1.0', 'project.bin'));
        await untouched(await device(`${nginx.url()}/project.json`, { channels: GOOD }), 'wrong_project');
    });

    test('for another chip', async () => {
        const odd = await bench.image('1.1.0', { chip: 'esp32s3' });
        nginx.put('chip.bin', text(odd));
        nginx.put('chip.json', release(odd, '1.1.0', 'chip.bin'));
        await untouched(await device(`${nginx.url()}/chip.json`, { channels: GOOD }), 'wrong_chip');
    });

    test('of another size', async () => {
        nginx.put('size.json', { version: '1.1.0', path: '1.1.0.bin', size: 5000 });
        await untouched(await device(`${nginx.url()}/size.json`, { channels: GOOD }), 'wrong_size');
    });

    test('with other bytes', async () => {
        nginx.put('digest.bin', patched(v11, 100000, 'changed'));
        nginx.put('digest.json', release(v11, '1.1.0', 'digest.bin'));
        await refused(`${nginx.url()}/digest.json`, 521, 'wrong_digest');
    });

    test('a page instead', async () => {
        nginx.put('page.bin', '<!doctype html>' + 'x'.repeat(5000));
        nginx.put('page.json', { version: '1.1.0', path: 'page.bin' });
        await untouched(await device(`${nginx.url()}/page.json`, { channels: GOOD }), 'bad_magic');
    });
});

describe('who is trusted', { concurrency: 4 }, () => {
    for (const name of ['other', 'expired', 'self'])
        test(`a certificate: ${name}`, () => refused(`${nginx.url(name)}/stable.json`, 520, 'bad_certificate', /^Cannot Fetch Latest Version Info/));

    test('without its CA nobody', async () => {
        const d = await bench.device({ image: v10, scenario: ANY, args: ['--board', board({ s: `${nginx.url()}/stable.json` })] });
        answered(await check(d), 404, 'bad_certificate');
    });

    test('an image from elsewhere is not', async () => {
        nginx.put('foreign.json', { version: '1.1.0', path: `${nginx.url('self')}/1.1.0.bin` });
        await refused(`${nginx.url()}/foreign.json`, 521, 'bad_certificate');
    });

    test('http by a name', () => refused('http://updates.example/stable.json', 403, 'insecure_url'));
    test('http from https', async () => {
        nginx.put('down.json', { version: '1.1.0', path: `${nginx.url('http')}/1.1.0.bin` });
        await refused(`${nginx.url()}/down.json`, 403, 'insecure_url');
    });
    test('a redirect to http', () => refused(`${nginx.url()}/plain/stable.json`, 403, 'insecure_url'));
    test('an image\'s redirect to http', async () => {
        nginx.put('plainly.json', release(v11, '1.1.0', '/plain/1.1.0.bin'));
        await refused(`${nginx.url()}/plainly.json`, 403, 'insecure_url');
        assert.ok(nginx.sent('/plain/1.1.0.bin').length > 0, 'the image was not asked for');
    });
    test('a redirect without end', () => refused(`${nginx.url()}/loop`, 520, 'too_many_redirects'));
    test('a redirect to nowhere', () => refused(`${nginx.url()}/nowhere`, 520, 'bad_reply'));
    test('a redirect without Location', () => refused(`${nginx.url()}/empty`, 520, 'bad_reply'));
    test('a redirect is followed, and paths go from there', async () => {
        nginx.put('moved.json', release(v11, '1.1.0', '/moved/1.1.0.bin'));
        const d = await device(`${nginx.url()}/moved/moved.json`);
        answered(await update(d), 200, 'switched');
        await d.runs('1.1.0');
    });
    test('a redirect of every kind is followed', async () => {
        const s = await serve((q, r) => {
            if (q.url === '/x.json') return r.end(JSON.stringify({ version: '9.0.0', path: 'x' }));
            const [, status, next] = /^\/(\d{3})(.*)/.exec(q.url);
            r.writeHead(Number(status), { Location: '/' + next }).end();
        });
        const d = await device(`${s.url}/301302303307308x.json`);
        assert.equal(JSON.parse((await check(d)).body).available, '9.0.0');
        s.close();
    });
});

describe('on the way', { concurrency: 4 }, () => {
    test('no Range: from the start', async () => {
        const c = await new Cutter(nginx.ports.http).start();
        nginx.put('norange.json', release(big, '1.1.0', '/whole/big.bin'));
        c.cuts = [300000];
        const d = await device(`http://127.0.0.1:${c.port}/norange.json`);
        answered(await update(d), 200, 'switched');
        await d.runs('1.1.0');
        c.stop();
    });

    test('another file meanwhile: from the start', async () => {
        const one = text(big), two = text(await bench.image('1.1.0', { size: 900000, seed: 5 }));
        let asked = [];
        const s = await serve((q, r, n) => {
            if (q.url.endsWith('.json')) return r.end(JSON.stringify({ version: '1.1.0', path: 'x.bin' }));
            asked.push(q.headers.range && [q.headers.range, q.headers['if-range']]);
            const file = n === 1 ? one : two, etag = n === 1 ? '"one"' : '"two"';
            r.writeHead(200, { ETag: etag, 'Content-Length': file.length });
            if (n === 1) return r.write(file.subarray(0, 200000), () => setTimeout(() => r.destroy(), 300));
            r.end(file);
        });
        const d = await device(s.url + '/c.json');
        answered(await update(d), 200, 'switched');
        await d.runs('1.1.0');
        assert.equal(asked[1][1], '"one"');
        assert.match(asked[1][0], /^bytes=\d+-$/);
        assert.ok(d.bytes().indexOf(two) > 0, 'not the second file');
        s.close();
    });

    test('cancelled', async () => {
        nginx.put('slow.json', release(big, '1.1.0', '/slow/big.bin'));
        const d = await device(`${nginx.url()}/slow.json`, { channels: GOOD });
        const waits = update(d);
        await d.seen('some of it', s => s.channel.state === 'receiving' && s.update.written > 50000);
        answered(await update(d), 409, 'busy');
        answered(await choose(d, 'good'), 409, 'busy');
        answered(await ask(d, 'DELETE', '/firmware/update'), 200, null);
        answered(await waits, 409, 'cancelled');
        await unharmed(d);
    });

    for (const silent of ['c.json', 'x.bin'])
        test(`cancelled while nothing comes of ${silent}`, async () => {
            const s = await serve((q, r) => { if (!q.url.endsWith(silent)) r.end(JSON.stringify({ version: '1.1.0', path: 'x.bin' })); });
            const d = await device(s.url + '/c.json', { channels: GOOD }), waits = update(d);
            await until('the request', () => s.requests() === (silent === 'c.json' ? 1 : 2));
            const from = Date.now();
            answered(await ask(d, 'DELETE', '/firmware/update'), 200, null);
            answered(await waits, 409, 'cancelled');
            assert.ok(Date.now() - from < 3000, `${Date.now() - from} ms`);
            await unharmed(d);
            s.close();
        });

    test('in the background, with progress', async () => {
        nginx.put('back.json', release(big, '1.1.0', '/slow/big.bin'));
        const d = await device(`${nginx.url()}/back.json`);
        answered(await update(d, { Prefer: 'respond-async' }), 202, 'started', /^OK$/);
        const s = await d.seen('progress', st => st.update.state === 'receiving' && st.update.written > 100000);
        assert.equal(s.update.door, 'channel');
        assert.equal(s.update.size, text(big).length);
        assert.equal(s.channel.available, '1.1.0');
        await d.runs('1.1.0', 'valid', 30000);
    });

    test('who asked may leave', async () => {
        nginx.put('leave.json', release(big, '1.1.0', '/slow/big.bin'));
        const d = await device(`${nginx.url()}/leave.json`), raw = d.raw();
        await raw.write(`POST ${API}/firmware/update HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 0\r\n\r\n`);
        await d.seen('some of it', s => s.channel.state === 'receiving');
        raw.close();
        await d.runs('1.1.0', 'valid', 30000);
    });

    test('a server that goes silent is left, and tried again', async () => {
        let n = 0;
        const file = text(v11);
        const s = await serve((q, r) => {
            if (q.url.endsWith('.json')) return r.end(JSON.stringify({ version: '1.1.0', path: 'x.bin' }));
            const from = Number(/bytes=(\d+)-/.exec(q.headers.range)?.[1] || 0);
            const head = { ETag: '"a"', 'Content-Length': file.length - from };
            if (from) head['Content-Range'] = `bytes ${from}-${file.length - 1}/${file.length}`;
            r.writeHead(from ? 206 : 200, head);
            if (n++ === 0) return r.write(file.subarray(0, 50000));
            r.end(file.subarray(from));
        });
        const d = await device(s.url + '/c.json', { args: ['--ota', 'timeout=1'] });
        answered(await update(d), 200, 'switched');
        assert.equal(n, 2);
        s.close();
    });

    test('a server that never ends its work runs into the deadline', async () => {
        const s = await serve((q, r) => {
            if (q.url.endsWith('.json')) return r.end(JSON.stringify({ version: '1.1.0', path: 'x.bin' }));
            r.writeHead(503);
            r.end();
        });
        const d = await device(s.url + '/c.json', { channels: GOOD, args: ['--ota', 'deadline=3'] });
        answered(await update(d), 521, 'deadline');
        await unharmed(d);
        s.close();
    });

    test('a push meanwhile is told who holds the device', async () => {
        nginx.put('push.json', release(big, '1.1.0', '/slow/big.bin'));
        const d = await device(`${nginx.url()}/push.json`);
        update(d).catch(() => {});
        await d.seen('some of it', s => s.update.written > 50000);
        const r = await d.upload(v11);
        assert.equal(r.headers['otter-result'], 'busy');
        await d.runs('1.1.0', 'valid', 30000);
    });
});

// Bytes that are sent for nothing, for each interruption: counted where the connection is cut, and for a device that loses
// power by nginx, whose own buffers are as small as the device's window.
const WASTE = 128 * 1024;

describe('cut everywhere', { concurrency: 3 }, () => {
    const size = text(big).length;
    const steps = Array.from({ length: Math.floor(size / 65536) }, (_, i) => (i + 1) * 65536);

    test('the connection, at every 64 KiB', async () => {
        const c = await new Cutter(nginx.ports.http).start();
        const d = await device(`http://127.0.0.1:${c.port}/big.json`);
        c.cuts = steps.map(() => 65536);
        answered(await update(d), 200, 'switched');
        await d.runs('1.1.0');
        const tries = c.passed.length, passed = c.passed.reduce((a, b) => a + b, 0);
        assert.ok(tries > steps.length, `${tries} connections`);
        assert.ok(passed <= size + (tries - 1) * WASTE, `${passed} bytes passed for ${size} in ${tries} connections`);
        c.stop();
    });

    for (const at of steps)
        test(`the connection, once at ${at}`, async () => {
            const c = await new Cutter(nginx.ports.http).start();
            const d = await device(`http://127.0.0.1:${c.port}/big.json`);
            c.cuts = [at];
            answered(await update(d), 200, 'switched');
            await d.runs('1.1.0');
            const passed = c.passed.reduce((a, b) => a + b, 0);
            assert.equal(c.passed.length, 2);
            assert.ok(passed <= size + WASTE, `${passed} bytes for ${size}`);
            c.stop();
        });

    // Power goes at flash operations all over the update, in all the ways there are; the device goes on by itself.
    const TEARS = ['before', 'after', 'prefix:100', 'random-bits:7', 'all-but-one:3', 'half-erase:1'];
    let seed = 20260101;
    const random = n => (seed = (seed * 1103515245 + 12345) % 0x80000000) % n;
    const OPERATIONS = 3500; // writes and erases of such an update
    const cuts = Array.from({ length: 50 }, (_, i) => [20 + random(OPERATIONS - 20), TEARS[i % TEARS.length]]);
    const power = async (at, tear, name) => {
        nginx.put(`${name}.bin`, text(big));
        nginx.put(`${name}.json`, release(big, '1.1.0', `${name}.bin`));
        const [kind, arg] = tear.split(':');
        const d = await device(`${nginx.url('http')}/${name}.json`,
            { args: ['--power-cut', [at, kind, arg].filter(Boolean).join(':')] });
        await update(d).catch(() => {});
        // One that came behind the update's last operation does not come.
        await d.runs('1.1.0', 'valid', 30000);
        await until('the log', () => nginx.sent(`/${name}.bin`).length);
        const lost = (d.log.match(/power is lost/g) || []).length;
        const sent = nginx.sent(`/${name}.bin`).reduce((a, l) => a + l.bytes, 0);
        assert.ok(sent <= size + lost * WASTE, `${sent} bytes sent for ${size}, power lost ${lost} times`);
        await d.stop();
        fs.rmSync(d.flash);
        return lost;
    };
    let lost = 0, ran = 0;
    for (const [i, [at, tear]] of cuts.entries())
        test(`power, at operation ${at}, ${tear}`, async () => {
            const times = await power(at, tear, `power-${i}`);
            lost += times;
            ran++;
        });
    after(() => assert.ok(lost >= ran * 0.9, `power went ${lost} times in ${ran} updates`));
});
