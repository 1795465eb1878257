// Documents are kept true: SPEC's hex dumps are vectors, README's blocks run, links lead somewhere.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { start_s3 } from './s3.mjs';

const root = join(dirname(fileURLToPath(import.meta.url)), '../..');
const read = (path) => readFileSync(join(root, path), 'utf8');

// A file of tests/vectors, or FOLDER/cases.json#NAME/FIELD: that field of that case, as hex.
function vector(name) {
    const [path, part] = name.split('#');
    const bytes = readFileSync(join(root, 'tests/vectors', path));
    if (!part) return bytes;
    const [wanted, field] = part.split('/');
    return Buffer.from(JSON.parse(bytes).cases.find((c) => c.name === wanted)[field], 'hex');
}

test('the page as devices serve it is that of web/index.html', () => {
    execFileSync(join(root, 'scripts/minify_page.mjs'), ['--check'], { encoding: 'utf8' });
});

test("SPEC's hex dumps are vectors", () => {
    const blocks = [...read('docs/SPEC.md').matchAll(/^```hex (\S+)\n([\s\S]*?)^```/gm)];
    assert.ok(blocks.length >= 3);
    for (const [, name, dump] of blocks)
        for (const line of dump.trim().split('\n')) {
            const [at, hex] = line.split(': ');
            const expected = Buffer.from(hex.replace(/ /g, ''), 'hex');
            const found = vector(name).subarray(parseInt(at, 16), parseInt(at, 16) + expected.length);
            assert.equal(found.toString('hex'), expected.toString('hex'), `${name} at 0x${at}`);
        }
});

function freePort() {
    return new Promise((resolve) => {
        const server = createServer().listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => resolve(port));
        });
    });
}

// The page's blocks as one script, its ports replaced by free ones; what it prints.
async function runBlocks(page, ports, env = {}) {
    const T = mkdtempSync(join(tmpdir(), 'otter-docs-'));
    try {
        const blocks = [...read(page).matchAll(/^```sh run\n([\s\S]*?)^```/gm)].map((m) => m[1]);
        assert.ok(blocks.length >= 3);
        let script = `set -eum; trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n${blocks.join('\n')}`;
        for (const port of ports) script = script.replaceAll(port, await freePort());
        return (await promisify(execFile)('bash', ['-c', script], { cwd: root, env: { ...process.env, ...env, T } })).stdout;
    } finally {
        rmSync(T, { recursive: true, force: true });
    }
}

test("README's blocks run", async () => {
    const out = await runBlocks('README.md', ['8033']);
    assert.match(out, /1\.0\.0 \(ota_0\) -> 1\.1\.0 \(ota_1\): confirmed/);
    assert.match(out, /1\.0\.0 \(ota_0\) -> 1\.1\.0 \(ota_\d+\): confirmed[^]*division +settled.*[^]*\|=+#+\|/);
    assert.match(out, /boots: +app0 at 0x10000, version 1\.0\.0/);
    assert.match(out, /"name":"log\.txt"/);
    assert.match(out, /listening on http/);
});

test("CLOUD's blocks run", async () => {
    const s3 = await start_s3();
    try {
        const out = await runBlocks('docs/CLOUD.md', ['1884'], s3.env);
        assert.match(out, /published 1\.1\.0/);
        assert.match(out, /"state":"confirmed".*"running":"1\.1\.0","job_id":"by hand"/);
        assert.match(out, /1 of 1 devices run 1\.0\.0/);
    } finally {
        await s3.stop();
    }
});

test('make run-pull shows the whole way', async () => {
    const { stdout } = await promisify(execFile)(join(root, 'scripts/demo-pull'));
    assert.match(stdout, /1 of 1 devices run 1\.1\.0[^]*0 of 1 devices run 1\.2\.0[^]*The device runs 1\.1\.0/);
});

test('links lead somewhere', () => {
    for (const page of ['README.md', 'docs/DESIGN.md', 'docs/SPEC.md', 'docs/SECURITY.md', 'docs/CLOUD.md'])
        for (const [, target] of read(page).matchAll(/\]\((?!http)([^)#]+)/g))
            assert.ok(existsSync(join(root, dirname(page), target)), `${page}: ${target}`);
});

test("SECURITY's tests exist", () => {
    const given = [...read('docs/SECURITY.md').matchAll(/`(tests\/[^`]+)`: ((?:`[^`]+`(?:, )?)+)/g)];
    assert.ok(given.length >= 10);
    // No path stands there without the names of its tests.
    assert.equal(given.length, [...read('docs/SECURITY.md').matchAll(/`tests\//g)].length);
    for (const [, path, names] of given)
        for (const [, name] of names.matchAll(/`([^`]+)`/g)) {
            const source = read(path);
            const found = path.endsWith('.c')
                ? new RegExp(`^static void ${name}\\(void \\*\\*state\\)`, 'm').test(source) && source.split(name).length > 2
                : source.includes(`'${name}'`);
            assert.ok(found, `${path}: ${name}`);
        }
});
