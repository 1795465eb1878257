#!/usr/bin/env node
// web/index.html as devices serve it, smaller: web/min/full.html, and web/min/push.html without the channels, whose lines
// stand between [channel and channel]. With --check it only says whether they are up to date.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const root = new URL('..', import.meta.url);
const { minify } = createRequire(new URL('tests/e2e/package.json', root))('html-minifier-terser');
const page = readFileSync(new URL('web/index.html', root), 'utf8');
const bare = page.replace(/^(\/\/|<!--)\[channel[^]*?channel\](-->)?\n/gm, '');
const options = {
    collapseWhitespace: true, removeComments: true, removeAttributeQuotes: true, removeOptionalTags: true, minifyCSS: true,
    minifyJS: { toplevel: true, compress: { passes: 2, toplevel: true }, mangle: { toplevel: true } },
};
let stale = 0;
for (const [name, text] of [['full', page], ['push', bare]]) {
    const file = new URL(`web/min/${name}.html`, root), small = await minify(text, options) + '\n';
    if (process.argv[2] !== '--check') writeFileSync(file, small);
    else if (readFileSync(file, 'utf8') !== small && ++stale) console.log(`web/min/${name}.html is out of date: run scripts/minify_page.mjs`);
}
process.exitCode = stale ? 1 : 0;
