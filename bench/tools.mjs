#!/usr/bin/env node
// Whole processes, medians in one run, side by side: the tool's commands against sha256sum and an empty C program.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const otter = new URL('../build/otter', import.meta.url).pathname, RUNS = 201;
// Memory, so that no disk is measured.
const dir = mkdtempSync(join(process.env.OTTER_BENCH_DIR || '/dev/shm', 'otter-bench-'));

function once(argv) {
    const start = process.hrtime.bigint();
    const { status } = spawnSync(argv[0], argv.slice(1), { stdio: 'ignore' });
    if (status) throw new Error(`${argv.join(' ')}: ${status}`);
    return Number(process.hrtime.bigint() - start) / 1e6;
}

const median = (list) => list.sort((a, b) => a - b)[list.length >> 1];

// In turn, so that a machine whose speed drifts treats both alike.
function compare(what, argv, yardstick) {
    const mine = [], theirs = [];
    for (let i = 0; i < RUNS; i++) {
        mine.push(once(argv));
        theirs.push(once(yardstick));
    }
    const [a, b] = [median(mine), median(theirs)];
    console.log(`| ${what} | ${a.toFixed(2)} ms | ${b.toFixed(2)} ms | ${(a / b).toFixed(2)} |`);
}

try {
    const at = (name) => join(dir, name);
    writeFileSync(at('empty.c'), 'int main(void) { return 0; }\n');
    execFileSync('gcc', ['-O2', at('empty.c'), '-o', at('empty')]);
    execFileSync(otter, ['image', 'synth', '--chip', 'esp32c3', '--version', '1', '--project', 'b', '--size', '1500K', '-o', at('app.bin')]);
    writeFileSync(at('table.csv'), 'nvs,data,nvs,,0x6000\notadata,data,ota,,0x2000\nota_0,app,ota_0,,1700K\nota_1,app,ota_1,,1700K\n');
    const rows = Array.from({ length: 34 }, (_, i) => `key${i},data,${i % 2 ? 'string,some text' : 'u32,' + i}`);
    writeFileSync(at('nvs.csv'), ['key,type,encoding,value', 'app,namespace,,', ...rows, ''].join('\n'));
    console.log('| command | median | yardstick | ratio |\n| --- | --- | --- | --- |');
    compare('`image verify`, 1.5 MB / `sha256sum`', [otter, 'image', 'verify', at('app.bin')], ['sha256sum', at('app.bin')]);
    compare('`table build` / empty program', [otter, 'table', 'build', at('table.csv'), '-o', at('t.bin')], [at('empty')]);
    compare('`nvs build`, 24 KB / empty program', [otter, 'nvs', 'build', at('nvs.csv'), '-o', at('n.bin'), '--size', '0x6000'], [at('empty')]);
} finally {
    rmSync(dir, { recursive: true, force: true });
}
