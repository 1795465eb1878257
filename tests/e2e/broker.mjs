// A mosquitto on free loopback ports: plain with what is allowed to whom, and TLS with client certificates. And one who
// listens to everything.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { run, until } from './device.mjs';

const MOSQUITTO = process.env.MOSQUITTO || '/usr/sbin/mosquitto';

const listens = port => new Promise(done => {
    const s = net.connect(port, '127.0.0.1', () => { s.destroy(); done(true); });
    s.on('error', () => done(false));
});

async function free_ports(n) {
    const servers = Array.from({ length: n }, () => net.createServer());
    await Promise.all(servers.map(s => new Promise(done => s.listen(0, '127.0.0.1', done))));
    const ports = servers.map(s => s.address().port);
    await Promise.all(servers.map(s => new Promise(done => s.close(done))));
    return ports;
}

export class Broker {
    // authority: for TLS, with certificates "good" for the server.
    constructor(bench, authority) {
        this.dir = fs.mkdtempSync(path.join(bench.dir, 'broker-'));
        this.authority = authority;
    }

    file(name) { return path.join(this.dir, name); }

    // Who has a password may use all topics (operator) or those with the own name in them (anybody else).
    config() {
        const a = this.authority;
        return `user ${os.userInfo().username}
per_listener_settings true
log_dest file ${this.file('log')}
listener ${this.ports[0]} 127.0.0.1
allow_anonymous true
persistence true
persistence_location ${this.dir}/
listener ${this.ports[1]} 127.0.0.1
allow_anonymous false
password_file ${this.file('passwords')}
acl_file ${this.file('acl')}
listener ${this.ports[2]} 127.0.0.1
cafile ${a.ca}
certfile ${a.file('good.pem')}
keyfile ${a.file('good.key')}
require_certificate true
use_identity_as_username true
acl_file ${this.file('acl')}
listener ${this.ports[3]} 127.0.0.1
cafile ${a.ca}
certfile ${a.file('other.pem')}
keyfile ${a.file('other.key')}
allow_anonymous true
`;
    }

    async password(name, word) {
        const flags = fs.existsSync(this.file('passwords')) ? [] : ['-c'];
        const r = await run('mosquitto_passwd', [...flags, '-b', this.file('passwords'), name, word]);
        if (r.code !== 0) throw new Error('mosquitto_passwd: ' + r.err);
    }

    async start() {
        if (!this.ports) {
            this.ports = await free_ports(4);
            await this.password('operator', 'operator-word');
            await this.password('device', 'device-word');
            fs.writeFileSync(this.file('acl'), 'user operator\ntopic readwrite #\n\npattern read otter/%u/update\n'
                + 'pattern write otter/%u/status\npattern write otter/%u/request\n');
            fs.writeFileSync(this.file('conf'), this.config());
        }
        this.child = spawn(MOSQUITTO, ['-c', this.file('conf')], { stdio: 'ignore' });
        this.child.unref();
        this.gone = new Promise(done => this.child.once('close', done));
        const child = this.child;
        process.once('exit', () => child.kill('SIGKILL'));
        await until('the broker to listen', () => listens(this.ports[3]));
        return this;
    }

    // In order, so that it keeps what devices have not fetched.
    async stop() {
        this.child.kill('SIGTERM');
        await this.gone;
    }

    url(kind = 'open') {
        const n = ['open', 'words', 'tls', 'other'].indexOf(kind);
        return `${n > 1 ? 'mqtts' : 'mqtt'}://127.0.0.1:${this.ports[n]}`;
    }

    async send(topic, payload, { retain = false } = {}) {
        const text = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload : JSON.stringify(payload);
        const args = ['-h', '127.0.0.1', '-p', this.ports[0], '-q', '1', '-t', topic, ...(retain ? ['-r'] : []),
            ...(text.length ? ['-s'] : ['-n'])];
        const r = await run('mosquitto_pub', args.map(String), { input: text });
        if (r.code !== 0) throw new Error('mosquitto_pub: ' + r.err);
    }

    listener(topic = 'otter/#') { return new Listener(this, topic).start(); }

    fleet(...wanted) { return new Fleet(this, ...wanted).start(); }
}

class Listener {
    constructor(broker, topic) {
        this.broker = broker;
        this.topic = topic;
        this.text = '';
        this.heard = [];
    }

    async start() {
        const args = ['-h', '127.0.0.1', '-p', this.broker.ports[0], '-q', '1', '-t', this.topic, '-t', 'probe', '-F', '%r %t %p'];
        this.child = spawn('mosquitto_sub', args.map(String), { stdio: ['ignore', 'pipe', 'ignore'] });
        this.child.unref();
        const child = this.child;
        process.once('exit', () => child.kill('SIGKILL'));
        this.child.stdout.on('data', d => this.take(d));
        await until('a listener at the broker', async () => {
            await this.broker.send('probe', 'x');
            return this.probed;
        });
        return this;
    }

    take(data) {
        this.text += data;
        const lines = this.text.split('\n');
        this.text = lines.pop();
        for (const line of lines) {
            const [retained, topic, ...rest] = line.split(' '), text = rest.join(' ');
            if (topic === 'probe') this.probed = true;
            // What devices are sent may be anything.
            else this.heard.push({ retained: retained === '1', topic, text, ...(/\/(status|request)$/.test(topic) && JSON.parse(text)) });
        }
    }

    of(topic, from = 0) { return this.heard.slice(from).filter(m => m.topic === topic); }

    // The first message on that topic, behind the first `from` of all, that fits.
    async hears(topic, fits, from = 0, ms) {
        return until(`${topic}: ${fits}`, () => {
            const m = this.of(topic, from).find(fits);
            if (!m) throw new Error(JSON.stringify(this.of(topic).slice(-12)));
            return m;
        }, ms);
    }

    stop() { this.child.kill('SIGKILL'); }
}

const text = t => Buffer.concat([Buffer.from([Buffer.byteLength(t) >> 8, Buffer.byteLength(t) & 255]), Buffer.from(t)]);

// An MQTT packet. What is sent here has less than 16 KB.
function packet(type, ...parts) {
    const body = Buffer.concat(parts), n = body.length;
    return Buffer.concat([Buffer.from(n < 128 ? [type, n] : [type, n & 127 | 128, n >> 7]), body]);
}

// More devices than could be run, over one connection: each tells a state, which is kept, and answers what comes over its
// update topic, "TOP/ID/update".
class Fleet {
    constructor(broker, top, ids, answer) {
        Object.assign(this, { broker, top, ids, answer, bytes: Buffer.alloc(0), count: 0, acknowledged: 0 });
    }

    async start() {
        this.socket = net.connect(this.broker.ports[0], '127.0.0.1').unref();
        this.socket.on('error', () => {}).on('data', d => this.take(d));
        this.socket.write(packet(0x10, text('MQTT'), Buffer.from([4, 2, 0, 0]), text(`fleet ${this.top}`)));
        this.socket.write(packet(0x82, Buffer.from([0, 1]), text(`${this.top}/+/update`), Buffer.from([0])));
        for (const id of this.ids) this.tell(id, { state: 'online' });
        await until('a fleet at the broker', () => this.acknowledged >= this.ids.length);
        return this;
    }

    tell(id, status) {
        const n = this.count++ % 65535 + 1, json = JSON.stringify({ device: id, running: '1.0.0', ...status });
        this.socket.write(packet(0x33, text(`${this.top}/${id}/status`), Buffer.from([n >> 8, n & 255]), Buffer.from(json)));
    }

    take(data) {
        this.bytes = Buffer.concat([this.bytes, data]);
        for (;;) {
            const b = this.bytes, long = b[1] >> 7, head = 2 + long, end = head + (b[1] & 127) + (long ? b[2] << 7 : 0);
            if (b.length < 3 || b.length < end) return;
            if (b[0] >> 4 === 4) this.acknowledged++;
            if (b[0] >> 4 === 3) this.hear(b.subarray(head, end));
            this.bytes = b.subarray(end);
        }
    }

    hear(body) {
        const at = 2 + body.readUInt16BE(0), id = body.toString('utf8', 2, at).split('/')[1];
        const status = this.answer(JSON.parse(body.toString('utf8', at)), id);
        if (status) this.tell(id, status);
    }

    stop() { this.socket.destroy(); }
}
