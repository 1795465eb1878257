// Presigned URLs, byte by byte those of the aws command at the same moment; and what is refused.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Bench, OTTER, run, sha256 } from './device.mjs';
import { start_s3 } from './s3.mjs';

// Debian's own; another `aws` may come first on PATH.
const AWS = '/usr/bin/aws';
const bench = new Bench();
after(() => bench.close());

const home = path.join(bench.dir, 'home');
fs.mkdirSync(path.join(home, '.aws'), { recursive: true });
fs.writeFileSync(path.join(home, '.aws/credentials'), `# who
[default]
aws_access_key_id = AKDEFAULT
aws_secret_access_key = default/secret+key

[one]
aws_access_key_id=AKONE
aws_secret_access_key=SEC=ONE#x
aws_session_token=TOKEN+ONE/==
region = sa-east-1
[two words]
    aws_access_key_id : AKTWO
    aws_secret_access_key : two;secret
[half]
aws_access_key_id = AKHALF
`);
fs.writeFileSync(path.join(home, '.aws/config'), `[default]
region=eu-central-1\r
[profile one]
region = ap-south-1
s3 =
    max_concurrent_requests = 20
    addressing_style = path
output = json
[profile "two words"]
region: us-west-2
s3 =
  addressing_style=virtual
[profile three]
aws_access_key_id = AKTHREE
aws_secret_access_key = three
region = eu-north-1
description = goes on
  region = in the next line
; [profile three]
; region = us-east-2
[profile role]
role_arn = arn:aws:iam::123456789012:role/publisher
source_profile = one
[profile keys-and-role]
aws_access_key_id = AKROLE
aws_secret_access_key = role
role_arn = arn:aws:iam::123456789012:role/publisher
source_profile = one
[profile keys-and-program]
aws_access_key_id = AKPROGRAM
aws_secret_access_key = program
credential_process = /bin/false
[profile keys-and-login]
aws_access_key_id = AKLOGIN
aws_secret_access_key = login
sso_account_id = 123456789012
sso_role_name = publisher
[profile old-token]
aws_access_key_id = AKOLD
aws_secret_access_key = old
aws_security_token = OLD/TOKEN+
region = eu-west-3
`);
const elsewhere = bench.file('[default]\naws_access_key_id = AKELSE\naws_secret_access_key = else\n', '.ini');
const other_config = bench.file('[default]\nregion = ca-central-1\n', '.ini');

const KEYS = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY' };
const EU = { ...KEYS, AWS_DEFAULT_REGION: 'eu-west-1' };
const MOMENTS = ['2026-11-21 12:00:00', '2024-02-29 23:59:59', '2031-01-01 00:00:00'];

// Both see the same clock and nothing of the environment but this.
function at(moment, env, program, args) {
    const base = { PATH: '/usr/bin:/bin', HOME: home, LC_ALL: 'C.UTF-8', TZ: 'UTC', AWS_EC2_METADATA_DISABLED: 'true' };
    const given = Object.entries({ ...base, ...env }).map(([name, value]) => `${name}=${value}`);
    return run('env', ['-i', ...given, 'faketime', '-f', moment, program, ...args]);
}

const presign = (env, ...args) => at(MOMENTS[0], env, OTTER, ['presign', ...args]);

// [what, environment, arguments]
const CASES = [
    ['a plain key', EU, ['s3://bucket/key']],
    ['no region', { ...KEYS, AWS_CONFIG_FILE: '/nonexistent' }, ['s3://bucket/key']],
    ['the global region', EU, ['s3://bucket/key', '--region', 'aws-global']],
    ['spaces', EU, ['s3://bucket/a key  with spaces.bin']],
    ['plus signs', EU, ['s3://bucket/a+b++c+']],
    ['unicode', EU, ['s3://bucket/größe/ファイル/🦦.bin']],
    ['tilde and equal sign', EU, ['s3://bucket/~a=b~=c']],
    ['percent signs', EU, ['s3://bucket/100%/a%20b%2f']],
    ['punctuation', EU, ['s3://bucket/!\'()*,;:@$&?#[]{}|"<>^`\\']],
    ['nested keys', EU, ['s3://bucket/stable/v1.2.3/esp32c3-app.bin']],
    ['empty parts and dots', EU, ['s3://bucket//a//./../b/']],
    ['dots in the bucket', EU, ['s3://my.bucket.example/key']],
    ['capitals in the bucket', EU, ['s3://My_Bucket/key']],
    ['a bucket of three letters', EU, ['s3://abc/key']],
    ['a bucket of two letters', EU, ['s3://ab/key']],
    ['a bucket of 63 letters', EU, [`s3://${'a'.repeat(63)}/key`]],
    ['a bucket of 64 letters', EU, [`s3://${'a'.repeat(64)}/key`]],
    ['a bucket that ends in a hyphen', EU, ['s3://bucket-/key']],
    ['a bucket like an address', EU, ['s3://192.168.5.4/key']],
    ['a session token', { ...EU, AWS_SESSION_TOKEN: 'IQoJb3JpZ2luX2VjEA8a+/x==' }, ['s3://bucket/key']],
    ['a session token by its old name', { ...EU, AWS_SECURITY_TOKEN: 'IQoJ+old/==' }, ['s3://bucket/key']],
    ['both of its names', { ...EU, AWS_SECURITY_TOKEN: 'IQoJ+old/==', AWS_SESSION_TOKEN: 'new' }, ['s3://bucket/key']],
    ["a profile's token by its old name", { AWS_PROFILE: 'old-token' }, ['s3://bucket/key']],
    ['600 seconds', EU, ['s3://bucket/key', '--expires-in', '600']],
    ['7 days', EU, ['s3://bucket/key', '--expires-in', '604800']],
    ['us-east-1', EU, ['s3://bucket/key', '--region', 'us-east-1']],
    ['China', EU, ['s3://bucket/key', '--region', 'cn-north-1']],
    ['GovCloud', EU, ['s3://bucket/key', '--region', 'us-gov-west-1']],
    ['another partition', EU, ['s3://bucket/key', '--region', 'us-iso-east-1']],
    ['and one more', EU, ['s3://bucket/key', '--region', 'us-isob-east-1']],
    ['AWS_REGION goes first', { ...EU, AWS_REGION: 'us-east-2' }, ['s3://bucket/key']],
    ['an endpoint with a port', EU, ['s3://bucket/a key', '--endpoint-url', 'http://127.0.0.1:9000']],
    ['an endpoint by name', EU, ['s3://bucket/key', '--endpoint-url', 'https://s3.example.com']],
    ['an endpoint with a path', EU, ['s3://bucket/key', '--endpoint-url', 'https://s3.example.com/base/path/']],
    ['an endpoint with its usual port', EU, ['s3://bucket/key', '--endpoint-url', 'https://s3.example.com:443']],
    ['an endpoint in capitals', EU, ['s3://bucket/key', '--endpoint-url', 'http://S3.Example.COM:80']],
    ['an endpoint, and dots in the bucket', EU, ['s3://buc.ket/key', '--endpoint-url', 'https://s3.example.com:8443']],
    ['the default profile', {}, ['s3://bucket/key']],
    ['a profile with token and path style', { AWS_PROFILE: 'one' }, ['s3://bucket/key']],
    ['a profile by its old variable', { AWS_DEFAULT_PROFILE: 'one' }, ['s3://bucket/key']],
    ['a profile by both variables', { AWS_DEFAULT_PROFILE: 'three', AWS_PROFILE: 'one' }, ['s3://bucket/key']],
    ["the environment's keys before a role", { ...EU, AWS_PROFILE: 'keys-and-role' }, ['s3://bucket/key']],
    ['a profile by option', {}, ['s3://bucket/key', '--profile', 'three']],
    ['a profile with virtual hosts', { AWS_PROFILE: 'two words' }, ['s3://bucket/key', '--endpoint-url', 'http://s3.local:9000']],
    ['virtual hosts and a path', { AWS_PROFILE: 'two words' }, ['s3://bucket/key', '--endpoint-url', 'https://s3.local/base']],
    ['no virtual host of an address', { AWS_PROFILE: 'two words' }, ['s3://bucket/key', '--endpoint-url', 'http://127.0.0.1:9000']],
    ['no virtual host with dots', { AWS_PROFILE: 'two words' }, ['s3://my.bucket/key', '--endpoint-url', 'http://s3.local:9000']],
    ["the environment's keys, the profile's region", { ...KEYS, AWS_PROFILE: 'three' }, ['s3://bucket/key']],
    ["the profile's keys by option", EU, ['s3://bucket/key', '--profile', 'one']],
    ['other files', { AWS_SHARED_CREDENTIALS_FILE: elsewhere, AWS_CONFIG_FILE: other_config }, ['s3://bucket/key']],
];

describe('as aws s3 presign prints it', { concurrency: 2 }, () => {
    for (const [i, [what, env, args]] of CASES.entries())
        test(what, async () => {
            const moment = MOMENTS[i % MOMENTS.length];
            const [theirs, ours] = await Promise.all([at(moment, env, AWS, ['s3', 'presign', ...args]),
                at(moment, env, OTTER, ['presign', ...args])]);
            assert.match(theirs.out, /^https?:.*X-Amz-Signature=[0-9a-f]{64}\n$/, theirs.err);
            assert.deepEqual(ours, { code: 0, out: theirs.out, err: '' });
        });
    test('enough of them', () => assert.ok(CASES.length >= 20));
});

test('the options by our names, and variables that newer versions of aws know', async () => {
    const plain = await presign(EU, 's3://bucket/key', '--expires-in', '600', '--endpoint-url', 'http://h:1');
    assert.match(plain.out, /^http:\/\/h:1\/bucket\/key\?/);
    assert.deepEqual(await presign(EU, 's3://bucket/key', '--expires', '600', '--endpoint', 'http://h:1'), plain);
    const by_name = { ...EU, AWS_ENDPOINT_URL: 'http://h:1' };
    assert.deepEqual(await presign(by_name, 's3://bucket/key', '--expires', '600'), plain);
    const s3 = { ...EU, AWS_ENDPOINT_URL: 'http://other', AWS_ENDPOINT_URL_S3: 'http://h:1' };
    assert.deepEqual(await presign(s3, 's3://bucket/key', '--expires', '600'), plain);
    const styles = [['virtual', /^http:\/\/bucket\.h:1\/key\?/], ['path', /^http:\/\/h:1\/bucket\/key\?/]];
    for (const [style, url] of styles)
        assert.match((await presign(by_name, 's3://bucket/key', '--addressing-style', style)).out, url);
    assert.match((await presign(EU, 's3://bucket/key', '--addressing-style', 'path')).out, /amazonaws\.com\/bucket\/key/);
});

test('as JSON', async () => {
    const plain = await presign(EU, 's3://bucket/a key', '--expires', '600');
    const r = await presign(EU, 's3://bucket/a key', '--expires', '600', '--json');
    assert.deepEqual(JSON.parse(r.out), { url: plain.out.trim(), method: 'GET', bucket: 'bucket', key: 'a key',
        region: 'eu-west-1', expires_in: 600, expires: '2026-11-21T12:10:00Z' });
});

describe('refused', () => {
    const cases = [
        ['no key', EU, ['s3://bucket/'], 2, /not s3:\/\/BUCKET\/KEY/],
        ['no bucket', EU, ['s3:///key'], 2, /not s3:\/\/BUCKET\/KEY/],
        ['a file', EU, ['bucket/key'], 2, /not s3:\/\/BUCKET\/KEY/],
        ['an ARN', EU, ['s3://arn:aws:s3:eu-west-1:1:accesspoint/x/key'], 2, /not s3:\/\/BUCKET\/KEY/],
        ['two of them', EU, ['s3://b/k', 's3://b/l'], 2, /it takes one/],
        ['no time', EU, ['s3://b/k', '--expires', '0'], 2, /1 to 604800 seconds/],
        ['more than 7 days', EU, ['s3://b/k', '--expires', '604801'], 2, /1 to 604800 seconds/],
        ['a region that would be a host', EU, ['s3://b/k', '--region', 'x.evil.example/'], 2, /no name of a region/],
        ['an endpoint without scheme', EU, ['s3://b/k', '--endpoint', 's3.local'], 2, /the endpoint must be http/],
        ['an endpoint with a query', EU, ['s3://b/k', '--endpoint', 'http://s3.local/?x'], 2, /the endpoint must be http/],
        ['an endpoint with a user', EU, ['s3://b/k', '--endpoint', 'http://me@s3.local'], 2, /the endpoint must be http/],
        ['an unknown style', EU, ['s3://b/k', '--addressing-style', 'dns'], 2, /path, virtual or auto/],
        ['half of the credentials', { AWS_ACCESS_KEY_ID: 'x' }, ['s3://b/k'], 4, /environment: there is an access key, but no secret key/],
        ['half of a profile', { AWS_PROFILE: 'half' }, ['s3://b/k'], 4, /half: there is an access key, but no secret key/],
        ['a profile that is not there', { AWS_PROFILE: 'nobody' }, ['s3://b/k'], 2, /no profile "nobody"/],
        ['a role', { AWS_PROFILE: 'role' }, ['s3://b/k'], 4, /aws configure export-credentials --profile role/],
        ['a role beside keys', { AWS_PROFILE: 'keys-and-role' }, ['s3://b/k'], 4, /export-credentials --profile keys-and-role/],
        ['a program beside keys', { AWS_PROFILE: 'keys-and-program' }, ['s3://b/k'], 4, /export-credentials --profile keys-and-program/],
        ['a login beside keys', { AWS_PROFILE: 'keys-and-login' }, ['s3://b/k'], 4, /export-credentials --profile keys-and-login/],
        ['no credentials', { HOME: '/nonexistent' }, ['s3://b/k'], 4, /set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY/],
        ['an unknown option', EU, ['s3://b/k', '--nonsense'], 2, /presign --help/],
    ];
    for (const [what, env, args, code, says] of cases)
        test(what, async () => {
            const r = await presign(env, ...args);
            assert.deepEqual([r.code, r.out], [code, ''], r.err);
            assert.match(r.err, says);
            assert.doesNotMatch(r.err, /wJalrXUt|three/);
        });
});

describe('at a server that checks signatures', () => {
    const content = Buffer.from(Array.from({ length: 5000 }, (_, i) => i % 251));
    const key = 's3://releases/a folder/größe+1 ~(x)=y.bin';
    let s3;
    before(async () => {
        s3 = await start_s3();
        const aws = (...args) => run(AWS, ['--endpoint-url', s3.url, ...args], { env: s3.env });
        assert.equal((await aws('s3', 'mb', 's3://releases')).code, 0);
        const put = await aws('s3', 'cp', bench.file(content), key);
        assert.equal(put.code, 0, put.err);
    });
    after(() => s3?.stop());

    const signed = async (program = OTTER, args = ['presign', key, '--expires', '600']) =>
        (await run(program, args, { env: s3.env })).out.trim();

    // {status, body}, of what curl makes of the URL.
    async function curl(url, ...args) {
        const file = bench.file('');
        const r = await run('curl', ['-sS', '-m', '20', '-o', file, '-w', '%{http_code}', ...args, url]);
        assert.equal(r.code, 0, r.err);
        return { status: Number(r.out), body: fs.readFileSync(file) };
    }

    test('it is fetched, whole and in part', async () => {
        const url = await signed(), whole = await curl(url);
        assert.deepEqual([whole.status, sha256(whole.body)], [200, sha256(content)]);
        const part = await curl(url, '-r', '1000-2999');
        assert.equal(part.status, 206);
        assert.ok(part.body.equals(content.subarray(1000, 3000)));
    });

    test('tampered with it is refused', async () => {
        const url = await signed();
        const changed = [url.replace(/.$/, c => c === '0' ? '1' : '0'), url.replace('Expires=600', 'Expires=6000'),
            url.replace('%28x%29', 'x'), url.replace(/Date=\d{8}/, 'Date=20200101')];
        for (const other of changed) {
            assert.notEqual(other, url);
            assert.equal((await curl(other)).status, 403, other);
        }
        assert.equal((await curl(url, '-X', 'PUT', '-d', 'x')).status, 403);
    });

    test('expired it is refused', async () => {
        const old = args => ['-f', '-2h', OTTER, 'presign', key, '--expires', ...args];
        assert.equal((await curl(await signed('faketime', old(['3600'])))).status, 403);
        assert.equal((await curl(await signed('faketime', old(['10800'])))).status, 200);
    });
});

test('help', async () => {
    const r = await presign({}, '--help');
    assert.equal(r.code, 0);
    for (const option of ['--expires', '--expires-in', '--endpoint', '--endpoint-url', '--region', '--profile',
        '--addressing-style', '--json'])
        assert.ok(r.out.includes(option), option);
});
