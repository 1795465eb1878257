// Signing from outside: keys, signed images, verdicts, exit statuses; and what openssl says of the same signatures.
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, test } from 'node:test';
import { Bench, otter, run, sha256 } from './device.mjs';

const bench = new Bench();
after(() => bench.close());

const SECTOR = 4096, BLOCK = 1216;
const KINDS = { rsa3072: 'RSA-3072', 'ecdsa-p256': 'ECDSA P-256' };
const image = await bench.image('1.0.0');
const bytes = fs.readFileSync(image), padded_size = Math.ceil(bytes.length / SECTOR) * SECTOR;
const at = name => path.join(path.dirname(image), name);

async function good(...args) {
    const r = await otter(['image', ...args]);
    assert.equal(r.code, 0, r.err);
    assert.equal(r.err, '');
    return r.out;
}

async function refused(code, words, ...args) {
    const r = await otter(['image', ...args]);
    assert.equal(r.code, code, r.err);
    assert.equal(r.out, '');
    assert.match(r.err, words);
    return r.err;
}

async function keygen(name, type) {
    await good('keygen', '-o', at(name), '--type', type);
    const pub = at(name.replace('.pem', '.pub.pem'));
    assert.equal((await run('openssl', ['pkey', '-in', at(name), '-pubout', '-out', pub])).code, 0);
    return { path: at(name), pub, digest: (await good('key-digest', at(name))).trim() };
}

const keys = {
    rsa: await keygen('rsa.pem', 'rsa3072'), ec: await keygen('ec.pem', 'ecdsa-p256'),
    rsa2: await keygen('rsa2.pem', 'rsa3072'), ec2: await keygen('ec2.pem', 'ecdsa-p256'),
};

async function signed(name, ...list) {
    await good('sign', image, ...list.flatMap(k => ['--key', k.path]), '-o', at(name));
    return at(name);
}

const changed = (file, name, change) => {
    const copy = Buffer.from(fs.readFileSync(file));
    fs.writeFileSync(at(name), change(copy) || copy);
    return at(name);
};

test('keygen: 0600, no overwriting, no secret on a stream', async () => {
    for (const [type, mode] of [['rsa3072', /RSA|3072/], ['ecdsa-p256', /prime256v1/]]) {
        const file = at(`gen-${type}.pem`);
        const out = await good('keygen', '-o', file, '--type', type);
        assert.match(out, /^.*: its key digest is [0-9a-f]{64}\n$/);
        assert.equal(fs.statSync(file).mode & 0o777, 0o600);
        assert.match((await run('openssl', ['pkey', '-in', file, '-noout', '-text'])).out, mode);
        const first = fs.readFileSync(file, 'utf8');
        assert.match(first, /^-----BEGIN PRIVATE KEY-----\n/);
        await refused(4, /is there already; --force/, 'keygen', '-o', file, '--type', type);
        assert.equal(fs.readFileSync(file, 'utf8'), first);
        fs.chmodSync(file, 0o644);
        await good('keygen', '-o', file, '--type', type, '--force');
        assert.equal(fs.statSync(file).mode & 0o777, 0o600);
        assert.notEqual(fs.readFileSync(file, 'utf8'), first);
    }
    await refused(2, /goes to a file/, 'keygen', '-o', '-');
    await refused(2, /name the key's file/, 'keygen');
    await refused(2, /no key type "p384"/, 'keygen', '-o', at('x.pem'), '--type', 'p384');
    await refused(2, /No such file/, 'keygen', '-o', at('nowhere/x.pem'));
    assert.deepEqual(fs.readdirSync(path.dirname(image)).filter(f => f.endsWith('.tmp')), []);
});

test('key-digest: secret and public keys, signed images', async () => {
    for (const k of Object.values(keys)) {
        assert.match(k.digest, /^[0-9a-f]{64}$/);
        assert.equal((await good('key-digest', k.pub)).trim(), k.digest);
    }
    const file = await signed('digests.bin', keys.ec, keys.rsa);
    assert.equal(await good('key-digest', file), `${keys.ec.digest}\n${keys.rsa.digest}\n`);
    await refused(4, /\(unsigned\)/, 'key-digest', image);
    await refused(4, /\(bad_signature\)/, 'key-digest', changed(file, 'd2.bin', b => { b[padded_size + 200] ^= 1; }));
    await refused(2, /holds no key in PEM/, 'key-digest', bench.file('junk'));
    await refused(2, /give one/, 'key-digest');
});

test('what is written, byte by byte', async () => {
    const file = fs.readFileSync(await signed('layout.bin', keys.rsa, keys.ec)), sector = file.subarray(padded_size);
    assert.equal(file.length, padded_size + SECTOR);
    assert.deepEqual(file.subarray(0, bytes.length), bytes);
    assert.ok(file.subarray(bytes.length, padded_size).every(b => b === 0xff));
    assert.ok(sector.subarray(2 * BLOCK).every(b => b === 0xff));
    const digest = sha256(file.subarray(0, padded_size));
    for (const [i, version] of [[0, 2], [1, 3]]) {
        assert.deepEqual([...sector.subarray(i * BLOCK, i * BLOCK + 4)], [0xe7, version, 0, 0]);
        assert.equal(sector.subarray(i * BLOCK + 4, i * BLOCK + 36).toString('hex'), digest);
    }
    // Modulus, R and M' by arithmetic of our own.
    const number = (from, n) => BigInt('0x' + Buffer.from(sector.subarray(from, from + n)).reverse().toString('hex'));
    const n = number(36, 384);
    const modulus = (await run('openssl', ['rsa', '-in', keys.rsa.path, '-noout', '-modulus'])).out;
    assert.equal(n, BigInt('0x' + modulus.trim().split('=')[1]));
    assert.equal(number(420, 4), 65537n);
    assert.equal(number(424, 384), (1n << 6144n) % n);
    assert.equal(n * number(808, 4) % (1n << 32n), (1n << 32n) - 1n);
    assert.equal(createHash('sha256').update(sector.subarray(36, 812)).digest('hex'), keys.rsa.digest);
    assert.equal(createHash('sha256').update(sector.subarray(BLOCK + 36, BLOCK + 101)).digest('hex'), keys.ec.digest);
});

function der_integer(little_endian) {
    let b = Buffer.from(little_endian).reverse();
    while (b.length > 1 && b[0] === 0 && b[1] < 0x80) b = b.subarray(1);
    if (b[0] >= 0x80) b = Buffer.concat([Buffer.of(0), b]);
    return Buffer.concat([Buffer.of(2, b.length), b]);
}

test('openssl agrees', async () => {
    const file = fs.readFileSync(await signed('agree.bin', keys.rsa, keys.ec)), sector = file.subarray(padded_size);
    const message = bench.file(file.subarray(0, padded_size)), other = bench.file(file.subarray(0, padded_size - 1));
    const rs = [sector.subarray(BLOCK + 101, BLOCK + 133), sector.subarray(BLOCK + 133, BLOCK + 165)].map(der_integer);
    const ec = bench.file(Buffer.concat([Buffer.of(0x30, rs[0].length + rs[1].length), ...rs]));
    const rsa = bench.file(Buffer.from(sector.subarray(812, 1196)).reverse());
    const pss = ['-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'];
    const verify = (key, options, signature, of) =>
        run('openssl', ['dgst', '-sha256', ...options, '-verify', key.pub, '-signature', signature, of]);
    assert.match((await verify(keys.rsa, pss, rsa, message)).out, /Verified OK/);
    assert.match((await verify(keys.ec, [], ec, message)).out, /Verified OK/);
    assert.notEqual((await verify(keys.rsa, pss, rsa, other)).code, 0);
    assert.notEqual((await verify(keys.ec, [], ec, other)).code, 0);
});

test('verify: which keys, in words and JSON', async () => {
    for (const [name, type] of [['rsa', 'rsa3072'], ['ec', 'ecdsa-p256']]) {
        const key = keys[name], other = keys[name + '2'], file = await signed(`v-${name}.bin`, key);
        for (const args of [['--key', key.path], ['--key', key.pub], ['--key-digest', key.digest],
            ['--key-digest', key.digest.toUpperCase()], ['--key', other.pub, '--key', key.pub]]) {
            const out = await good('verify', file, ...args);
            assert.match(out, /: good: demo 1\.0\.0 for ESP32-C3/);
            assert.match(out, new RegExp(`signature  0: ${KINDS[type]}, right, of a trusted key\nkey        ${key.digest}`));
            const o = JSON.parse(await good('verify', file, ...args, '--json'));
            assert.deepEqual([o.valid, o.error], [true, null]);
            assert.deepEqual(o.signatures,
                [{ block: 0, type: KINDS[type], key_digest: key.digest, valid: true, trusted: true }]);
        }
        await refused(4, /\(untrusted_key\)/, 'verify', file, '--key', other.pub);
        const r = await otter(['image', 'verify', file, '--key', other.pub, '--json']), o = JSON.parse(r.out);
        assert.deepEqual([r.code, o.valid, o.error], [4, false, 'untrusted_key']);
        assert.deepEqual([o.signatures[0].valid, o.signatures[0].trusted], [true, false]);
        // Who names no keys asks the boot loader's questions alone.
        assert.equal(JSON.parse(await good('verify', file, '--json')).signatures, undefined);
        assert.match(await good('info', file), /signature  0: .*, right, of no key given here/);
    }
    assert.doesNotMatch(await good('info', image), /signature/);
    await refused(2, /no key digest/, 'verify', image, '--key-digest', 'ab');
    await refused(2, /no key digest/, 'verify', image, '--key-digest', 'g'.repeat(64));
    await refused(2, /no key digest/, 'verify', image, '--key-digest', 'a'.repeat(65));
    await refused(2, /No such file/, 'verify', image, '--key', at('nobody.pem'));
});

test('verify: damage', async () => {
    const file = await signed('damage.bin', keys.rsa), key = ['--key', keys.rsa.pub];
    const sentence = await refused(4, /\(unsigned\)/, 'verify', image, ...key);
    assert.match(sentence, /sign it with a trusted key/);
    const cut = n => changed(file, 'cut.bin', b => b.subarray(0, n));
    await refused(4, /\(unsigned\)/, 'verify', cut(padded_size), ...key);
    await refused(4, /\(bad_signature\)/, 'verify', cut(padded_size + 1), ...key);
    await refused(4, /\(bad_signature\)/, 'verify', cut(padded_size + BLOCK), ...key);
    await refused(4, /\(bad_signature\)/, 'verify', cut(padded_size + SECTOR - 1), ...key);
    for (const where of [1, 4, 36, 420, 424, 808, 812, 1195, 1196])
        await refused(4, /\(bad_signature\)/, 'verify',
            changed(file, 'flip.bin', b => { b[padded_size + where] ^= 1; }), ...key);
    // A changed image comes first, changed padding is the signature's matter.
    await refused(3, /\(bad_(hash|checksum)\)/, 'verify', changed(file, 'f2.bin', b => { b[400] ^= 1; }), ...key);
    if (padded_size > bytes.length)
        await refused(4, /\(bad_signature\)/, 'verify', changed(file, 'f3.bin', b => { b[padded_size - 1] = 0; }), ...key);
});

test('sign: several, appended, and what is refused', async () => {
    const one = await signed('one.bin', keys.rsa), three = at('three.bin'), two = at('two.bin');
    await good('sign', one, '--append', '--key', keys.ec.path, '-o', two);
    await good('sign', two, '--append', '--key', keys.rsa2.path, '-o', three);
    const o = JSON.parse(await good('verify', three, '--key', keys.ec.pub, '--json'));
    assert.deepEqual(o.signatures.map(s => [s.key_digest, s.valid, s.trusted]),
        [[keys.rsa.digest, true, false], [keys.ec.digest, true, true], [keys.rsa2.digest, true, false]]);
    const out = at('never.bin'), sign = (...args) => ['sign', ...args, '-o', out];
    await refused(4, /room for three/, ...sign(three, '--append', '--key', keys.ec2.path));
    await refused(4, /signed already; --append/, ...sign(one, '--key', keys.ec.path));
    await refused(4, /has signed this image already/, ...sign(one, '--append', '--key', keys.rsa.path));
    await refused(4, /has signed this image already/, ...sign(image, '--key', keys.ec.path, '--key', keys.ec.path));
    await refused(4, /leave --append out/, ...sign(image, '--append', '--key', keys.ec.path));
    await refused(4, /signature 0 .* is bad/, ...sign(changed(one, 'b.bin', b => { b[padded_size + 900] ^= 1; }),
        '--append', '--key', keys.ec.path));
    await refused(4, /something behind the image's end/, ...sign(changed(image, 't.bin', b => Buffer.concat([b, b])),
        '--key', keys.ec.path));
    await refused(2, /is a public key/, ...sign(image, '--key', keys.ec.pub));
    await refused(3, /\(bad_magic\)/, ...sign(bench.file('junk'), '--key', keys.ec.path));
    await refused(3, /\(bad_/, ...sign(changed(image, 'h.bin', b => { b[400] ^= 1; }), '--key', keys.ec.path));
    await refused(2, /three signatures/, ...sign(image, ...Array(4).fill(['--key', keys.ec.path]).flat()));
    await refused(2, /name the secret key/, ...sign(image));
    await refused(2, /name the signed image/, 'sign', image, '--key', keys.ec.path);
    assert.equal(fs.existsSync(out), false);
});

test('sign: padding that is there already, standard streams', async () => {
    const padded = changed(image, 'padded.bin', b => Buffer.concat([b, Buffer.alloc(padded_size - b.length, 0xff)]));
    await good('sign', padded, '--key', keys.ec.path, '-o', at('p.bin'));
    await good('verify', at('p.bin'), '--key', keys.ec.pub);
    assert.equal(fs.statSync(at('p.bin')).size, padded_size + SECTOR);
    const piped = await otter(['image', 'sign', '-', '--key', keys.ec.path, '-o', at('piped.bin')], { input: bytes });
    assert.equal(piped.code, 0, piped.err);
    await good('verify', at('piped.bin'), '--key', keys.ec.pub);
});

test('keys of other kinds', async () => {
    const pem = (type, options) => generateKeyPairSync(type, { ...options,
        publicKeyEncoding: { type: 'spki', format: 'pem' },
        privateKeyEncoding: { type: 'pkcs8', format: 'pem', ...options.private } }).privateKey;
    const kind = /no RSA key of 3072 bits and no ECDSA key on P-256/;
    for (const [type, options] of [['rsa', { modulusLength: 2048 }], ['ec', { namedCurve: 'P-384' }], ['ed25519', {}]])
        await refused(2, kind, 'key-digest', bench.file(pem(type, options)));
    const locked = bench.file(pem('ec', { namedCurve: 'P-256', private: { cipher: 'aes-256-cbc', passphrase: 'x' } }));
    await refused(2, /under a passphrase/, 'key-digest', locked);
    // OpenSSL's older forms.
    const old = at('old.pem');
    assert.equal((await run('openssl', ['ec', '-in', keys.ec.path, '-out', old])).code, 0);
    assert.equal((await good('key-digest', old)).trim(), keys.ec.digest);
});

test('a device that takes only signed firmware', async () => {
    const d = await bench.device({ image, args: ['--key-digest', keys.rsa.digest, '--key-digest', keys.ec.digest] });
    const v11 = await bench.image('1.1.0'), v12 = await bench.image('1.2.0', { size: 300000 });
    const make = async (file, name, key) => {
        await good('sign', file, '--key', key.path, '-o', at(name));
        return at(name);
    };
    const refuse = async (file, name) => {
        const r = await d.upload(file);
        assert.equal(r.status, 523, r.body);
        assert.equal(r.headers['otter-result'], name, r.body);
        assert.equal((await d.status()).running.version, '1.0.0');
    };
    const foreign = await make(v11, 'foreign.bin', keys.rsa2), ours = await make(v11, 'ours.bin', keys.rsa);
    await refuse(v11, 'unsigned');
    await refuse(foreign, 'untrusted_key');
    await refuse(changed(ours, 'stripped.bin', b => b.subarray(0, b.length - SECTOR)), 'unsigned');
    await refuse(changed(ours, 'cut.bin', b => b.subarray(0, b.length - 1)), 'unsigned');
    await refuse(changed(ours, 'spoilt.bin', b => (b[b.length - SECTOR + 900] ^= 1, b)), 'bad_signature');
    // Padding is signed, too; the image itself is whole.
    await refuse(changed(ours, 'padding.bin', b => (b[b.length - SECTOR - 1] ^= 1, b)), 'bad_signature');
    assert.equal((await d.upload(ours)).status, 200);
    await d.runs('1.1.0');
    assert.equal((await d.upload(await make(v12, 'ec-ours.bin', keys.ec))).status, 200);
    await d.runs('1.2.0');
});
