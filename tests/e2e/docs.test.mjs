// Documents are kept true: SPEC's hex dumps are vectors, README's blocks run, links lead somewhere.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

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

test("README's blocks run", async () => {
    const T = mkdtempSync(join(tmpdir(), 'otter-readme-'));
    try {
        const blocks = [...read('README.md').matchAll(/^```sh run\n([\s\S]*?)^```/gm)].map((m) => m[1]);
        assert.ok(blocks.length >= 3);
        const script = `set -eum; trap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n${blocks.join('\n')}`.replaceAll('8033', await freePort());
        const out = execFileSync('bash', ['-c', script], { cwd: root, env: { ...process.env, T }, encoding: 'utf8' });
        assert.match(out, /1\.0\.0 \(ota_0\) -> 1\.1\.0 \(ota_1\): confirmed/);
        assert.match(out, /1\.0\.0 \(ota_0\) -> 1\.1\.0 \(ota_\d+\): confirmed[^]*division +settled.*[^]*\|=+#+\|/);
        assert.match(out, /boots: +app0 at 0x10000, version 1\.0\.0/);
        assert.match(out, /"name":"log\.txt"/);
        assert.match(out, /listening on http/);
    } finally {
        rmSync(T, { recursive: true, force: true });
    }
});

test('links lead somewhere', () => {
    for (const page of ['README.md', 'docs/DESIGN.md', 'docs/SPEC.md', 'docs/SECURITY.md'])
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
