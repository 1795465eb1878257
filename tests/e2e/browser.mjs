// The device page as a person uses it: a real browser against the virtual device, every outcome seen on the screen and
// asked of the device as well. Prints TAP; leaves nothing behind but the screenshots that OTTER_SHOTS asks for.
//
//   OTTER        the tool (default build/otter)
//   OTTER_SHOTS  directory for screenshots (default: none are kept)
//   CHROMIUM     the browser (default /usr/bin/chromium)
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const OTTER = process.env.OTTER || path.join(ROOT, 'build/otter');
const CHROMIUM = process.env.CHROMIUM || '/usr/bin/chromium';
const DIR = fs.mkdtempSync(path.join(os.tmpdir(), 'otter-e2e-'));
const SHOTS = process.env.OTTER_SHOTS || path.join(DIR, 'shots');
const PATIENCE_MS = 20000;
const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
    '--disable-component-update', '--disable-sync'];
const SCENARIO = {
    '1.2.0': { behaviour: 'crash_at_boot' },
    '1.3.0': { behaviour: 'never_confirms' },
    '1.4.0': { behaviour: 'never_confirms' },
    '2.0.0': { behaviour: 'never_confirms' },
    '*': { behaviour: 'healthy', confirm_after_ms: 500 },
};

process.env.TMPDIR = DIR; // the browser's profile goes there too
const { chromium } = await import('playwright-core');

// ---- the device

class Device {
    // port 0: a free one, kept over a power cut
    constructor(name, table, args = []) {
        this.args = args;
        this.flash = path.join(DIR, name + '.flash');
        this.table = table;
        this.port = 0;
    }

    async on() {
        const args = ['device', 'run', '--flash', this.flash, '--http', '127.0.0.1:' + this.port, '--time', 'real',
            '--table', this.table, '--image', image('1.0.0'), '--scenario', path.join(DIR, 'scenario.json'), ...this.args];
        this.log = '';
        this.child = spawn(OTTER, args, { stdio: ['ignore', 'pipe', 'inherit'] });
        this.gone = new Promise(done => this.child.once('exit', done));
        const line = await new Promise((found, lost) => {
            this.child.stdout.on('data', d => {
                const m = /listening on (http:\/\/127\.0\.0\.1:(\d+))/.exec(this.log += d);
                if (m) found(m);
            });
            this.child.once('exit', code => lost(new Error('the device ended with status ' + code)));
            this.child.once('error', lost);
        });
        this.url = line[1];
        this.port = Number(line[2]);
        return this;
    }

    async off(signal = 'SIGTERM') {
        this.child.kill(signal);
        const late = setTimeout(() => this.child.kill('SIGKILL'), 2000);
        await this.gone;
        clearTimeout(late);
    }

    async status() {
        return (await fetch(this.url + '/api/v1/firmware/status')).json();
    }

    async runs(version, ms = PATIENCE_MS) {
        let last;
        for (const end = Date.now() + ms; Date.now() < end; await sleep(200)) {
            last = await this.status().catch(() => last);
            if (last && last.running.version === version) return last;
        }
        throw new Error('the device does not run ' + version + ' but ' + JSON.stringify(last && last.running));
    }
}

function image(version, { chip = 'esp32c3', size = 160000 } = {}) {
    const file = path.join(DIR, `demo-${version}-${chip}.bin`);
    if (!fs.existsSync(file)) {
        // Its own bytes: what is in the slot already would not be written again.
        const seed = version.replaceAll('.', '');
        const args = ['--chip', chip, '--version', version, '--project', 'demo', '--size', size, '--seed', seed, '-o', file];
        execFileSync(OTTER, ['image', 'synth', ...args.map(String)], { stdio: ['ignore', 'ignore', 'inherit'] });
    }
    return file;
}

// ---- the browser

let browser;
const errors = [], strangers = [];

async function open(device, { deaf = false, ...options } = {}) {
    const context = await browser.newContext({ viewport: { width: 900, height: 900 }, ...options });
    const page = await context.newPage();
    if (deaf) await page.addInitScript(() => { delete window.EventSource; });
    page.on('pageerror', e => errors.push(e.message));
    page.on('request', r => {
        if (!r.url().startsWith(device.url) && !r.url().startsWith('data:')) strangers.push(r.url());
    });
    await page.goto(device.url + '/');
    if (options.javaScriptEnabled !== false) await sees(page, 'state', /./);
    return page;
}

const text = (page, id) => page.textContent('#' + id);

async function sees(page, id, words, ms = PATIENCE_MS) {
    const has = ([i, w]) => new RegExp(w).test(document.getElementById(i).textContent);
    await page.waitForFunction(has, [id, words.source], { timeout: ms, polling: 50 }).catch(async () => {
        const at = await Promise.all(['state', 'phase', 'note', id].map(async i => i + ': ' + await text(page, i)));
        throw new Error(`#${id} never said ${words}; ${at.join('; ')}`);
    });
}

async function update(page, file) {
    await page.setInputFiles('#file', file);
    await page.click('#go');
}

// Everything the progress bar and the phase line show from now on.
async function watch(page) {
    await page.evaluate(() => {
        window.seen = { values: [], phases: [] };
        const note = () => {
            const bar = document.getElementById('bar'), phase = document.getElementById('phase').textContent;
            if (bar.hasAttribute('value') && bar.value !== seen.values.at(-1)) seen.values.push(bar.value);
            if (phase && phase !== seen.phases.at(-1)) seen.phases.push(phase);
        };
        const all = { subtree: true, childList: true, attributes: true, characterData: true };
        new MutationObserver(note).observe(document.body, all);
    });
}

const shot = (page, name) => page.screenshot({ path: path.join(SHOTS, name + '.png'), fullPage: true });

async function still(device, version, boot) {
    const s = await device.status();
    assert.equal(s.running.version, version);
    assert.equal(s.boot_id, boot, 'the device has restarted');
}

// The parts of the flash as they are drawn, and the rows that say the same in words.
async function drawn(page) {
    const bar = await page.$$eval('#strip .cell', cells => cells.map(c => ({
        cls: c.className.replace('cell ', ''), left: c.getBoundingClientRect().left, width: c.getBoundingClientRect().width,
    })));
    const rows = await page.$$eval('#slots tr', all => all.map(tr => [...tr.children].map(c => c.textContent).join(' | ')));
    return { bar, rows, names: rows.map(r => r.split(' | ')[0]) };
}

// Every row of names that the table has had from now on.
async function watchParts(page) {
    await page.evaluate(() => {
        window.parts = [];
        const note = () => {
            const now = [...document.querySelectorAll('#slots th')].map(th => th.textContent).join(' ');
            if (now !== parts.at(-1)) parts.push(now);
        };
        new MutationObserver(note).observe(document.getElementById('slots'), { childList: true });
        note();
    });
}

// Makes the page believe that the device says this of its channel and update, too, from now on and whenever it is called.
async function actor(page, first) {
    const channel = { ...first }, update = {};
    await page.route('**/firmware/status', async route => {
        const reply = await route.fetch(), st = await reply.json();
        Object.assign(st.channel, channel);
        Object.assign(st.update, update);
        await route.fulfill({ response: reply, json: st });
    });
    const says = async (more, moreUpdate) => {
        Object.assign(channel, more);
        Object.assign(update, moreUpdate);
        const read = page.waitForResponse('**/firmware/status');
        await page.evaluate(() => { document.dispatchEvent(new Event('visibilitychange')); });
        await (await read).finished();
        await page.evaluate(() => new Promise(requestAnimationFrame));
    };
    await says();
    return says;
}

// Each part of the pool is drawn where it is, as wide as it is; but for the lines between the parts.
function isToScale(bar, division, names) {
    const first = bar[0].left, scale = division.pool.size / (bar.at(-1).left + bar.at(-1).width - first);
    const regions = { app: division.app, update: division.update, before: division.update, data: division.data };
    assert.equal(bar.length, names.length);
    for (const [i, name] of names.entries()) {
        if (name === 'free') continue;
        const { offset, size } = regions[name], at = (bar[i].left - first) * scale + division.pool.offset;
        assert.ok(Math.abs(at - offset) < 6 * scale, `${name} is drawn at ${at}, not ${offset}`);
        assert.ok(Math.abs(bar[i].width * scale - size) < 6 * scale, `${name} is drawn ${bar[i].width * scale} wide, not ${size}`);
    }
}

// ---- the cases; they run in this order on one device, each on a page of its own; some on an elastic one besides

const cases = {
    async 'shows what runs, and the slots'(d) {
        const page = await open(d), s = await d.status();
        await sees(page, 'version', /^1\.0\.0$/);
        await sees(page, 'project', /^demo$/);
        await sees(page, 'chip', /^ESP32-C3/);
        assert.equal(await page.locator('#slots tr').count(), s.slots.length);
        assert.match(await page.textContent('#slots tr.runs'), new RegExp(s.running.slot + '1\\.0\\.0running'));
        assert.equal(await page.locator('#strip div:not(.gap)').count(), s.slots.length);
        // Slots are fixed: nothing is divided.
        assert.equal(s.division, null);
        assert.equal(await page.locator('.data, .key').count(), 0);
        assert.equal(await text(page, 'part') + await text(page, 'room'), 'Slot');
        await shot(page, '01-idle');
    },

    async 'a click updates, with progress of bytes in flash'(d) {
        const page = await open(d);
        await watch(page);
        const file = image('1.1.0', { size: 600000 });
        await page.setInputFiles('#file', file);
        await sees(page, 'about', /^1\.1\.0 of demo/);
        await page.click('#go');
        await page.waitForFunction(() => seen.values.length >= 3);
        await shot(page, '02-receiving');
        await sees(page, 'phase', /Restarting|Waiting/);
        await shot(page, '03-restarting');
        await sees(page, 'note', /^Now running 1\.1\.0/);
        await shot(page, '04-done');
        const { values, phases } = await page.evaluate(() => seen), n = fs.statSync(file).size;
        assert.ok(new Set(values).size >= 3, 'progress: ' + values);
        assert.ok(values.every((v, i) => v <= n && (i === 0 || v > values[i - 1])), 'progress: ' + values);
        assert.equal(phases[0], 'Receiving');
        assert.ok(phases.some(p => /Restarting|Waiting/.test(p)), 'phases: ' + phases);
        await sees(page, 'note', /^Now running 1\.1\.0, confirmed\.$/);
        assert.equal((await d.runs('1.1.0')).running.state, 'valid');
    },

    async 'an image for another chip is refused in words'(d) {
        const page = await open(d), { boot_id } = await d.status();
        await update(page, image('1.1.1', { chip: 'esp32s3' }));
        await sees(page, 'note', /another chip.*The running firmware was not touched\.$/);
        await shot(page, '05-wrong-chip');
        await still(d, '1.1.0', boot_id);
    },

    async 'a truncated image is refused in words'(d) {
        const page = await open(d), { boot_id } = await d.status(), file = path.join(DIR, 'short.bin');
        fs.writeFileSync(file, fs.readFileSync(image('1.1.2')).subarray(0, 100000));
        await update(page, file);
        await sees(page, 'note', /ends before.*The running firmware was not touched\.$/);
        await shot(page, '06-truncated');
        await still(d, '1.1.0', boot_id);
    },

    async 'a file that is no image is refused in words'(d) {
        const page = await open(d), { boot_id } = await d.status(), file = path.join(DIR, 'notes.txt');
        fs.writeFileSync(file, 'not firmware\n'.repeat(1000));
        await page.setInputFiles('#file', file);
        await sees(page, 'about', /^Not recognised as an app image/);
        await page.click('#go');
        await sees(page, 'note', /0xE9.*The running firmware was not touched\.$/);
        await still(d, '1.1.0', boot_id);
    },

    async 'the firmware that runs already changes nothing'(d) {
        const page = await open(d), { boot_id } = await d.status();
        await update(page, image('1.1.0'));
        await sees(page, 'note', /^Nothing was changed/);
        await shot(page, '07-already-current');
        await sleep(1500);
        await still(d, '1.1.0', boot_id);
    },

    async 'a second page, without event stream, sees the first one\'s update and cannot disturb it'(d) {
        const one = await open(d), two = await open(d, { deaf: true }); // the second one must poll
        await watch(two);
        await update(one, image('1.1.3', { size: 600000 }));
        await two.waitForFunction(() => seen.values.some(v => v > 0));
        await shot(two, '08-second-page');
        assert.equal(await two.getAttribute('#go', 'aria-disabled'), 'true');
        const busy = await two.evaluate(async () => {
            const headers = { Accept: 'application/json' };
            const r = await fetch('/api/v1/firmware/upload', { method: 'POST', body: 'x'.repeat(1000), headers });
            return [r.status, (await r.json()).error];
        });
        assert.deepEqual(busy, [409, 'busy']);
        await sees(one, 'note', /^Now running 1\.1\.3, confirmed\.$/);
        await sees(two, 'note', /^Now running 1\.1\.3, confirmed\.$/);
    },

    async 'firmware that crashes at boot is shown as rolled back'(d) {
        const page = await open(d);
        await update(page, image('1.2.0'));
        await sees(page, 'note', /^1\.2\.0 did not start properly; the device went back to 1\.1\.3\. Reason: it restarted unconfirmed/);
        await shot(page, '09-went-back');
        const s = await d.runs('1.1.3');
        assert.equal(s.went_back.version, '1.2.0');
        const later = await open(d);
        await sees(later, 'note', /^1\.2\.0 did not start properly/);
    },

    async 'unconfirmed firmware is on trial; Go back goes back'(d) {
        const page = await open(d);
        await update(page, image('1.3.0'));
        await sees(page, 'note', /^Now running 1\.3\.0, on trial: not confirmed yet\.$/);
        await sees(page, 'state', /^1\.3\.0 is on trial: not confirmed yet$/);
        await shot(page, '10-on-trial');
        await page.click('#back');
        await page.waitForSelector('#ask[open]');
        await shot(page, '11-go-back');
        await page.click('#yes');
        await sees(page, 'note', /^The device went back\. Now running 1\.1\.3, confirmed\.$/);
        await shot(page, '12-gone-back');
        await d.runs('1.1.3');
        assert.equal(await page.isVisible('#trial'), false);
    },

    async 'Confirm confirms'(d) {
        const page = await open(d);
        await update(page, image('1.4.0'));
        await sees(page, 'state', /^1\.4\.0 is on trial/);
        await page.click('#confirm');
        await sees(page, 'state', /^Running 1\.4\.0 from \w+, confirmed$/);
        assert.equal((await d.status()).running.state, 'valid');
    },

    async 'Restart asks first'(d) {
        const page = await open(d), { boot_id } = await d.status();
        await page.click('#restart');
        await page.click('#no');
        await still(d, '1.4.0', boot_id);
        await page.click('#restart');
        await page.click('#yes');
        await sees(page, 'note', /^The device has restarted\. Now running 1\.4\.0, confirmed\.$/);
        assert.notEqual((await d.status()).boot_id, boot_id);
    },

    async 'the keyboard is enough'(d) {
        const page = await open(d);
        const focused = () => page.evaluate(() => document.activeElement.id);
        const tabTo = async id => {
            for (let i = 0; i < 20 && await focused() !== id; i++) await page.keyboard.press('Tab');
            assert.equal(await focused(), id);
        };
        const chooser = page.waitForEvent('filechooser');
        await tabTo('file');
        await page.keyboard.press('Enter');
        await (await chooser).setFiles(image('1.5.0'));
        await tabTo('go');
        await shot(page, '13-keyboard');
        await page.keyboard.press('Enter');
        await sees(page, 'note', /^Now running 1\.5\.0/);
        await d.runs('1.5.0');
    },

    async 'without script the form updates'(d) {
        const page = await open(d, { javaScriptEnabled: false });
        await shot(page, '14-no-script');
        await page.setInputFiles('#file', image('1.6.0'));
        const posted = page.waitForResponse(r => r.request().method() === 'POST');
        await page.click('#go');
        assert.equal((await posted).status(), 200);
        await d.runs('1.6.0');
    },

    async 'dark, and at phone width'(d) {
        const colour = page => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        const paper = async page => (await colour(page)).match(/\d+/g).map(Number);
        const light = await open(d), dark = await open(d, { colorScheme: 'dark' });
        const size = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2 };
        const phone = await open(d, { ...size, isMobile: true, hasTouch: true });
        assert.ok((await paper(light)).every(c => c > 200));
        assert.ok((await paper(dark)).every(c => c < 60));
        const wide = await phone.evaluate(() => document.documentElement.scrollWidth);
        assert.ok(wide <= 390, 'the page is ' + wide + ' px wide');
        await shot(dark, '15-dark');
        await shot(phone, '16-phone');
    },

    async 'power lost in mid-transfer is never shown as success'(d) {
        const page = await open(d);
        await watch(page);
        await update(page, image('1.7.0', { size: 600000 }));
        await page.waitForFunction(() => seen.values.length >= 3);
        await d.off('SIGKILL');
        await sees(page, 'state', /^Connection lost, trying again$/);
        await shot(page, '17-connection-lost');
        await d.on();
        await sees(page, 'note', /The running firmware was not touched\.$/);
        await sees(page, 'state', /^Running 1\.6\.0 from \w+, confirmed$/);
        await shot(page, '18-connection-back');
        await d.runs('1.6.0');
    },

    async 'overlapping slots: app and data, to scale'(_, d) {
        const page = await open(d), { division, slots } = await d.status();
        const { bar, rows, names } = await drawn(page);
        assert.ok(slots.length > 5);
        assert.deepEqual(names, ['app', 'data']);
        assert.deepEqual(rows, ['app | 1.0.0 | running, confirmed | 192 KiB', 'data | – | for files | 3840 KiB']);
        isToScale(bar, division, names);
        assert.deepEqual(bar.map(b => b.cls), ['runs', 'data']);
        assert.equal(await page.locator('#slots .key').count(), 2);
        await sees(page, 'room', /^The next image may have up to 3584 KiB\.$/);
        await shot(page, '19-elastic');
    },

    async 'overlapping slots: the bar changes while an update runs'(_, d) {
        const page = await open(d);
        await watch(page);
        await watchParts(page);
        await update(page, image('2.0.0', { size: 600000 }));
        await page.waitForFunction(() => parts.length === 2 && seen.values.some(v => v > 200000));
        const { division } = await d.status(), coming = await drawn(page);
        assert.equal(division.state, 'updating');
        assert.deepEqual(coming.names, ['app', 'data', 'update']);
        assert.match(coming.rows[2], /being written \| 640 KiB$/);
        isToScale(coming.bar, division, coming.names);
        const part = await page.evaluate(() => parseFloat(document.getElementById('fill').style.width));
        assert.ok(part > 25 && part <= 95, `${part} % of the update are drawn as written`);
        await shot(page, '20-elastic-updating');

        await sees(page, 'state', /^2\.0\.0 is on trial/);
        const trial = await drawn(page);
        assert.deepEqual(trial.names, ['before', 'data', 'app']);
        assert.deepEqual(trial.bar.map(b => b.cls.trim()), ['', 'data', 'trial']);
        assert.match(trial.rows[0], /^before \| 1\.0\.0 \| starts at the next restart \| 192 KiB$/);
        isToScale(trial.bar, (await d.status()).division, trial.names);
        await shot(page, '21-elastic-on-trial');
        await page.click('#confirm');
        await sees(page, 'state', /confirmed$/);
        const settled = await drawn(page);
        assert.deepEqual(settled.rows, ['data | – | for files | 3392 KiB', 'app | 2.0.0 | running, confirmed | 640 KiB']);
        assert.equal(await page.isVisible('#back'), false, 'there is nothing to go back to');
        assert.deepEqual(await page.evaluate(() => parts), ['app data', 'app data update', 'before data app', 'data app']);
    },

    async 'overlapping slots: what nobody uses is shown, dark and at phone width too'(_, d) {
        const small = await open(d);
        await update(small, image('2.1.0', { size: 600000 }));
        await sees(small, 'note', /^Now running 2\.1\.0, confirmed\.$/);
        await update(small, image('2.2.0', { size: 60000 }));
        await sees(small, 'note', /^Now running 2\.2\.0, confirmed\.$/);
        const size = { viewport: { width: 390, height: 844 }, deviceScaleFactor: 2, isMobile: true, hasTouch: true };
        const phone = await open(d, { ...size, colorScheme: 'dark' }), { division } = await d.status();
        const { bar, rows, names } = await drawn(phone);
        assert.deepEqual(names, ['data', 'app', 'free']);
        assert.match(rows[2], new RegExp(`unused \\| ${division.free / 1024} KiB$`));
        isToScale(bar, division, names);
        assert.equal(await phone.evaluate(() => document.documentElement.scrollWidth), 390);
        await shot(phone, '22-elastic-phone-dark');
    },

    async 'overlapping slots: an update that was cut is shown as begun'(_, d) {
        const page = await open(d);
        await watch(page);
        await update(page, image('2.3.0', { size: 600000 }));
        await page.waitForFunction(() => seen.values.length >= 3);
        await d.off('SIGKILL');
        await d.on();
        await sees(page, 'note', /The running firmware was not touched\.$/);
        const { names, rows } = await drawn(page);
        assert.ok(names.includes('update'));
        assert.match(rows[names.indexOf('update')], /begun, not finished/);
    },

    async 'overlapping slots: files go only if that is agreed to'(_, d) {
        const page = await open(d);
        assert.equal(await page.isVisible('#loss'), false);
        const stored = await fetch(d.url + '/api/v1/files/kept.txt', { method: 'PUT', body: 'precious' });
        assert.equal(stored.status, 200);
        await page.reload();
        await page.waitForSelector('#loss', { state: 'visible' });
        await update(page, image('2.4.0', { size: 60000 }));
        await sees(page, 'note', /would cost the files.*The running firmware was not touched\.$/);
        assert.equal((await d.status()).running.version, '2.2.0');
        await page.check('#agree');
        await page.click('#go');
        await sees(page, 'note', /^Now running 2\.4\.0, confirmed\.$/);
        await shot(page, '23-elastic-files');
    },

    async 'a channel: chosen, looked at, updated from, with progress'() {
        const d = fetching, page = await open(d);
        await page.waitForSelector('#pull', { state: 'visible' });
        assert.deepEqual(await page.$$eval('#channel option', all => all.map(o => o.textContent)), ['stable', 'testing', 'gone']);
        assert.equal(await page.inputValue('#channel'), 'stable');
        await page.click('#look');
        await sees(page, 'offer', /^1\.0\.0 is offered: nothing to update$/);
        assert.equal(await page.isVisible('#fetch'), false);
        await page.selectOption('#channel', 'testing');
        await sees(page, 'offer', /^5\.0\.0 is available, 586 KiB$/);
        await sees(page, 'notes', /^Faster <b>everything<\/b>$/);
        await shot(page, '24-channel');
        await watch(page);
        await page.click('#fetch');
        await sees(page, 'phase', /^Receiving$/);
        await page.waitForSelector('#stop', { state: 'visible' });
        await shot(page, '25-channel-receiving');
        await page.click('#stop');
        await sees(page, 'note', /^The update was cancelled\. The running firmware was not touched\.$/);
        await page.click('#fetch');
        await sees(page, 'note', /^Now running 5\.0\.0, confirmed\.$/, 2 * PATIENCE_MS);
        const { values } = await page.evaluate(() => seen);
        assert.ok(values.length > 5, `${values}`);
    },

    async 'a channel: failures are told as failures'() {
        const d = fetching, page = await open(d), { boot_id } = await d.status();
        await page.selectOption('#channel', 'gone');
        await sees(page, 'offer', /^The server answered with an error\. Its status: 404\.$/);
        assert.equal(await page.getAttribute('#offer', 'class'), 'note bad');
        assert.equal(await page.isVisible('#fetch'), false);
        await page.selectOption('#channel', 'stable');
        await sees(page, 'offer', /^1\.0\.0 is available/);
        server.version = '6.0.0';
        await page.click('#look');
        await sees(page, 'offer', /^6\.0\.0 is available/);
        await page.click('#fetch');
        await sees(page, 'note', /^The image's version is not the one.* The running firmware was not touched\.$/);
        await shot(page, '26-channel-failed');
        await still(d, '5.0.0', boot_id);
    },

    async 'a channel: every verdict in words'() {
        const page = await open(fetching), says = await actor(page, { available: '7.0.0', check_error: null });
        const shows = async (offer, notes, button) => {
            await sees(page, 'offer', offer);
            assert.equal(await text(page, 'notes'), notes);
            assert.equal(await page.isVisible('#fetch'), !!button);
            if (button) assert.equal(await text(page, 'fetch'), button);
            assert.equal(await page.getAttribute('#offer', 'class'), 'soft');
        };
        await says({ verdict: 'needs_cable', notes: 'Another table.' });
        await shows(/^7\.0\.0 cannot be taken over the air; install it by cable$/, 'Another table.');
        await says({ verdict: 'version_too_far', notes: null });
        await shows(/^7\.0\.0 cannot follow what runs; install a version in between first$/, '');
        await says({ verdict: 'none', vanished: 'testing' });
        await shows(/^The channel testing is no more\. Not looked at yet$/, '');
        await says({ verdict: 'older', vanished: null });
        await shows(/^7\.0\.0 is offered, which is not newer than what runs$/, '', 'Go back to 7.0.0');
        await page.click('#fetch');
        await sees(page, 'asktext', /^Install 7\.0\.0, which is not newer than what runs\?$/);
        const asked = page.waitForRequest(r => r.method() === 'POST');
        await page.route('**/firmware/update', route => route.fulfill({ status: 202, body: 'OK' }));
        await page.click('#yes');
        assert.equal((await asked).headers()['x-firmware-older'], 'accepted');
    },

    async 'a channel: only what is over is told as a failure'() {
        const page = await open(fetching), says = await actor(page, { updates: 1 });
        // The session is over, not the update.
        await says({ state: 'waiting', available: '7.0.0' }, { state: 'failed', door: 'channel', error: 'idle', message: 'No bytes came.' });
        await sees(page, 'offer', /^The connection broke; it is tried again/);
        assert.equal(await text(page, 'note'), '');
        await says({ state: 'idle', updates: 2, error: 'deadline', message: 'It took too long.' });
        await sees(page, 'note', /^It took too long\. The running firmware was not touched\.$/);
        await says({ check_error: 'cancelled', check_message: 'It was cancelled.' });
        await sees(page, 'offer', /^It was cancelled\.$/);
        assert.equal(await page.getAttribute('#offer', 'class'), 'soft');
    },

    async 'a channel: another board is shown'() {
        const d = fetching, page = await open(d, { deaf: true }), names = () => page.$$eval('#channel option', all => all.map(o => o.textContent));
        await page.waitForFunction(() => document.querySelectorAll('#channel option').length === 3);
        const channels = [{ name: 'new', path: from + '/gone.json' }], body = JSON.stringify({ ota: { channels } });
        const r = await fetch(d.url + '/api/v1/board', { method: 'PUT', body, headers: { 'Content-Type': 'application/json' } });
        assert.equal(r.status, 200);
        await page.waitForFunction(() => document.getElementById('channel').value === 'new');
        assert.deepEqual(await names(), ['new']);
        await sees(page, 'offer', /^The channel stable is no more\./);
    },

    async 'no script error, and nothing asked of any other host'() {
        assert.deepEqual(errors, []);
        assert.deepEqual(strangers, []);
    },
};

// ---- the run

const device = new Device('device', 'two_ota'), ELASTIC = path.join(DIR, 'elastic.table');
execFileSync(OTTER, ['table', 'plan', '--flash', '4M', '--app', '400K', '--grow', '300K', '-o', ELASTIC], { stdio: 'ignore' });
const elastic = new Device('elastic', ELASTIC);

// What the channels serve: 1.0.0, which runs; 5.0.0, slowly; nothing.
const server = http.createServer((q, r) => {
    if (q.url === '/stable.json') r.end(JSON.stringify({ version: server.version, path: '1.0.0.bin' }));
    else if (q.url === '/1.0.0.bin') r.end(fs.readFileSync(image('1.0.0')));
    else if (q.url === '/testing.json') r.end(JSON.stringify({ version: '5.0.0', path: '5.0.0.bin', size: slow.length, notes: 'Faster <b>everything</b>' }));
    else if (q.url === '/5.0.0.bin') drip(r, slow);
    else r.writeHead(404).end();
});
const slow = fs.readFileSync(image('5.0.0', { size: 600000 }));
server.version = '1.0.0';

async function drip(reply, bytes) {
    reply.writeHead(200, { 'Content-Length': bytes.length });
    for (let at = 0; at < bytes.length && !reply.destroyed; at += 20000) {
        reply.write(bytes.subarray(at, at + 20000));
        await sleep(100);
    }
    reply.end();
}

await new Promise(done => server.listen(0, '127.0.0.1', done));
const from = `http://127.0.0.1:${server.address().port}`, BOARD = path.join(DIR, 'board.yaml');
const rows = ['stable', 'testing', 'gone'].map(n => `    - {name: ${n}, path: "${from}/${n}.json"}\n`);
fs.writeFileSync(BOARD, 'ota:\n  channels:\n' + rows.join(''));
const fetching = new Device('fetching', 'two_ota_large', ['--board', BOARD]);
let failed = 0, number = 0;

const comment = words => words.replaceAll(/^/gm, '# ');

async function cleanUp() {
    server.close();
    server.closeAllConnections();
    for (const d of [device, elastic, fetching])
        if (d.child && d.child.exitCode === null && d.child.signalCode === null) await d.off();
    if (browser) await browser.close();
    fs.rmSync(DIR, { recursive: true, force: true, maxRetries: 3 });
}

for (const s of ['SIGINT', 'SIGTERM']) process.once(s, () => cleanUp().finally(() => process.exit(130)));

try {
    fs.mkdirSync(SHOTS, { recursive: true });
    fs.writeFileSync(path.join(DIR, 'scenario.json'), JSON.stringify(SCENARIO));
    browser = await chromium.launch({ executablePath: CHROMIUM, args: FLAGS });
    await device.on();
    await elastic.on();
    await fetching.on();
    console.log('TAP version 13\n1..' + Object.keys(cases).length);
    for (const [name, run] of Object.entries(cases)) {
        const start = Date.now();
        let fault = null;
        await run(device, elastic).catch(e => { fault = e; });
        for (const c of browser.contexts()) await c.close();
        console.log(`${fault ? 'not ok' : 'ok'} ${++number} - ${name} # ${Date.now() - start} ms`);
        if (fault) console.log(comment(fault.stack + '\n\nThe devices\' last words:\n' +
            device.log.slice(-1500) + elastic.log.slice(-1500) + fetching.log.slice(-1500)));
        failed += fault ? 1 : 0;
    }
} finally {
    await cleanUp();
}
process.exitCode = failed ? 1 : 0;
