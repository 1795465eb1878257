// Out of sockets: more connections than the device keeps, and no descriptors left. The update under way goes on, who
// comes later gets in, and the device neither dies nor spins.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { once } from 'node:events';
import { after, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Bench, head, run, until } from './device.mjs';

const UPLOAD = '/api/v1/firmware/upload', EVENTS = '/api/v1/firmware/events';
const ANY = { '*': { behaviour: 'healthy', confirm_after_ms: 0 } };
const MANY = 80; // the device keeps 32

const bench = new Bench();
after(() => bench.close());

const first = await bench.image('1.0.0'), second = await bench.image('1.1.0'), image = fs.readFileSync(second);
const fresh = () => bench.device({ image: first, scenario: ANY });

// What a connection may say to stay.
const habits = {
    'that say nothing': () => '',
    'in the middle of a head': () => head('GET', '/').slice(0, -4),
    'that listen to events': () => head('GET', EVENTS),
    'whose refused body never ends': () => head('POST', '/nowhere', { 'Content-Length': 2 ** 20 }) + 'x',
};

async function hold(d, count, says) {
    const raws = Array.from({ length: count }, () => d.raw());
    await Promise.all(raws.map(async r => {
        await once(r.socket, 'connect');
        await r.write(says());
    }));
    return raws;
}

async function begin_upload(d) {
    const raw = d.raw(), half = image.length >> 1;
    await raw.write(head('POST', UPLOAD, { 'Content-Length': image.length }));
    await raw.write(image.subarray(0, half));
    await d.seen('the first half', s => s.update.received === half);
    return { raw, rest: image.subarray(half) };
}

async function end_upload(d, { raw, rest }) {
    await raw.write(rest);
    assert.equal((await raw.reply()).status, 200, raw.error);
    await d.runs('1.1.0');
}

// The running firmware's process may open at most so many descriptors more.
const descriptors = d => fs.readdirSync(`/proc/${d.life()}/fd`).map(Number);
async function leave_descriptors(d, more) {
    const taken = new Set(descriptors(d));
    let free = 0;
    while (taken.has(free)) free++;
    const r = await run('prlimit', ['--pid', String(d.life()), `--nofile=${free + more}:`]);
    assert.equal(r.code, 0, r.err);
}

// Hundredths of a second of processor time that it has used.
function used(d) {
    const fields = fs.readFileSync(`/proc/${d.life()}/stat`, 'latin1').split(') ')[1].split(' ');
    return Number(fields[11]) + Number(fields[12]);
}

describe('more connections than there is room for', { concurrency: 3 }, () => {
    for (const [habit, says] of Object.entries(habits))
        test(habit, async () => {
            const d = await fresh(), life = d.life(), held = await hold(d, MANY, says);
            assert.equal((await d.status()).running.version, '1.0.0');
            const upload = await begin_upload(d);
            held.push(...await hold(d, MANY, says));
            assert.equal((await d.status()).update.state, 'receiving');
            assert.equal(d.life(), life);
            await end_upload(d, upload);
            held.forEach(r => r.close());
        });
});

describe('no descriptors left', { concurrency: 3 }, () => {
    for (const [habit, says] of Object.entries(habits))
        test(habit, async () => {
            const d = await fresh(), upload = await begin_upload(d);
            await leave_descriptors(d, 4);
            const held = await hold(d, MANY / 4, says);
            assert.equal((await d.status()).update.state, 'receiving');
            await end_upload(d, upload);
            held.forEach(r => r.close());
        });

    // None but the update's own: then there is nobody to send away.
    test('those who come wait, and the device does not spin', async () => {
        const d = await fresh(), idle = descriptors(d).length, upload = await begin_upload(d);
        // The status that told of the first half has closed its connection.
        await until('one connection', () => descriptors(d).length === idle + 1);
        await leave_descriptors(d, 0);
        const held = await hold(d, 8, () => head('GET', '/nowhere')), before = used(d);
        await sleep(1000);
        assert.ok(used(d) - before < 20, `${used(d) - before} hundredths of a second`);
        assert.ok(held.every(r => r.bytes.length === 0));
        await leave_descriptors(d, 20);
        for (const r of held) assert.equal((await r.reply()).status, 404);
        await end_upload(d, upload);
    });
});
