#!/usr/bin/env node
// Which room may know which: checks every #include, forbidden headers, #if in the device's code, and (with the libraries as
// arguments) that every symbol they export has the prefix. Prints file and line of each offence.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';

const root = new URL('..', import.meta.url).pathname;
const rooms = {
    include: { may: ['otter/', 'format/'], never: /^<(stdio|stdlib|unistd|sys\/|esp_)/ },
    format: { may: ['otter/', 'format/'], never: /^<(stdio|stdlib|unistd|sys\/|esp_|time|pthread)/, pure: true },
    core: { may: ['otter/', 'format/', 'core/'], never: /^<(stdio|stdlib|unistd|sys\/|esp_|time|pthread)/, pure: true },
    doors: { may: ['otter/', 'format/', 'doors/'], never: /^<(unistd|sys\/|esp_|pthread|microhttpd|curl)/, pure: true },
    ports: { may: ['otter/', 'format/', 'core/nvs.h', 'doors/', 'ports/', 'web_page.h'], never: /^$/ },
    tool: { may: ['otter/', 'format/', 'core/nvs.h', 'doors/', 'ports/', 'tool/', 'web_page.h'], never: /^$/ },
};
let offences = 0;

function offend(file, line, what) {
    console.log(`${file}:${line}: ${what}`);
    offences++;
}

function* sources(dir) {
    for (const name of readdirSync(join(root, dir))) {
        const path = join(dir, name);
        if (statSync(join(root, path)).isDirectory()) yield* sources(path);
        else if (/\.[ch]$/.test(name)) yield path;
    }
}

function checkLine(room, file, number, line) {
    const include = line.match(/^\s*#\s*include\s+(?:"([^"]+)"|(<[^>]+)>)/);
    if (include?.[1] && !room.may.some((p) => include[1].startsWith(p))) offend(file, number, `may not include "${include[1]}"`);
    if (include?.[2] && room.never.test(include[2])) offend(file, number, `may not include ${include[2]}>`);
    const guard = /^#(ifndef|endif)/.test(line) && file.endsWith('.h');
    if (room.pure && /^\s*#\s*(if|ifdef|ifndef|elif)/.test(line) && !guard) offend(file, number, 'no #if here: features are files');
    if (room.pure && room !== rooms.doors && /\b(malloc|calloc|realloc|free|printf)\s*\(/.test(line)) offend(file, number, 'no heap, no stdio here');
}

for (const [name, room] of Object.entries(rooms))
    for (const file of sources(name))
        readFileSync(join(root, file), 'utf8').split('\n').forEach((line, i) => checkLine(room, file, i + 1, line));

for (const library of process.argv.slice(2)) {
    const symbols = execFileSync('nm', ['-g', '--defined-only', library], { encoding: 'utf8' });
    for (const [, symbol] of symbols.matchAll(/^[0-9a-f]+ [TDBRC] (\w+)$/gm))
        if (!symbol.startsWith('otter_')) offend(library, 0, `exports ${symbol} without the prefix otter_`);
}
console.log(offences ? `${offences} offences` : 'rooms: every line knows its own');
process.exit(offences ? 1 : 0);
