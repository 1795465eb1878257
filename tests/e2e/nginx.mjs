// nginx with TLS and a local CA, for devices that fetch: one server on free loopback ports, one folder, a log that counts
// bytes. And a server that misbehaves in ways that nginx does not.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import path from 'node:path';
import { until, run } from './device.mjs';

const NGINX = process.env.NGINX || '/usr/sbin/nginx';

async function must(program, ...args) {
    const r = await run(program, args);
    if (r.code !== 0) throw new Error(`${program} ${args.join(' ')}: ${r.err}`);
}

const openssl = (...args) => must('openssl', ...args);

async function free_port() {
    const server = net.createServer();
    await new Promise(done => server.listen(0, '127.0.0.1', done));
    const { port } = server.address();
    await new Promise(done => server.close(done));
    return port;
}

// A CA, and certificates by it: good, for another host, expired; and one by nobody.
export class Authority {
    constructor(dir) {
        this.dir = dir;
        this.ca = path.join(dir, 'ca.pem');
    }

    file(name) { return path.join(this.dir, name); }

    async make() {
        const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];
        await openssl('req', '-x509', ...key, '-keyout', this.file('ca.key'), '-out', this.ca, '-days', '30', '-subj', '/CN=test CA',
            '-addext', 'keyUsage=critical,keyCertSign,cRLSign');
        await openssl('req', '-x509', ...key, '-keyout', this.file('self.key'), '-out', this.file('self.pem'), '-days', '30', '-subj',
            '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1');
        await this.leaf('good', 'DNS:localhost,IP:127.0.0.1', ['-days', '30']);
        await this.leaf('other', 'DNS:elsewhere.example', ['-days', '30']);
        await this.leaf('expired', 'DNS:localhost,IP:127.0.0.1', ['-days', '-1']);
        return this;
    }

    async leaf(name, san, days) {
        const ext = this.file(name + '.ext');
        fs.writeFileSync(ext, `subjectAltName=${san}\n`);
        await openssl('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', this.file(name + '.key'),
            '-out', this.file(name + '.csr'), '-subj', '/CN=' + name);
        await openssl('x509', '-req', '-in', this.file(name + '.csr'), '-CA', this.ca, '-CAkey', this.file('ca.key'), '-CAcreateserial',
            '-extfile', ext, ...days, '-out', this.file(name + '.pem'));
    }
}

const CERTIFICATES = ['good', 'other', 'expired', 'self'];

export class Nginx {
    // before: URL of a server whose front this is; else it has files of its own.
    constructor(bench, { before } = {}) {
        this.bench = bench;
        this.before = before;
        this.dir = fs.mkdtempSync(path.join(bench.dir, 'nginx-'));
        this.www = path.join(this.dir, 'www');
        fs.mkdirSync(this.www);
    }

    // Workers of a root's nginx would be nobody's, who may not read the folder.
    config() {
        const tls = CERTIFICATES.map(name => `
    server {
        listen 127.0.0.1:${this.ports[name]} ssl sndbuf=16k;
        ssl_certificate ${this.authority.file(name + '.pem')};
        ssl_certificate_key ${this.authority.file(name + '.key')};
        include ${this.dir}/places;
    }`);
        return `daemon off; master_process off; pid ${this.dir}/pid; error_log ${this.dir}/error.log;
events { worker_connections 64; }
http {
    ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(t => `${t}_temp_path ${this.dir}/${t};`).join(' ')}
    log_format count '$status $body_bytes_sent $request_uri $http_range';
    access_log ${this.dir}/access.log count;
    default_type application/octet-stream; types { application/json json; }
    gzip on; gzip_types application/json; gzip_min_length 1;
    output_buffers 1 16k; sendfile off;
    server { listen 127.0.0.1:${this.ports.http} sndbuf=16k; include ${this.dir}/places; }
    ${tls.join('')}
}`;
    }

    places() {
        if (this.before) return `location / { proxy_pass ${this.before}; proxy_buffering off; proxy_set_header Host $http_host; }`;
        return `root ${this.www};
location /slow/ { alias ${this.www}/; limit_rate 64k; }
location /whole/ { alias ${this.www}/; max_ranges 0; }
location = /loop { return 302 /loop; }
location /plain/ { return 302 http://127.0.0.1:${this.ports.http}$request_uri; }
location /moved/ { rewrite ^/moved/(.*) /$1 redirect; }
location = /busy { return 503; }
location /expired/ { return 403; }
location = /nowhere { return 302 ftp://127.0.0.1/; }
location = /empty { return 302; }
`;
    }

    async start() {
        this.authority = await new Authority(this.dir).make();
        this.ports = { http: await free_port() };
        for (const name of CERTIFICATES) this.ports[name] = await free_port();
        fs.writeFileSync(path.join(this.dir, 'places'), this.places());
        fs.writeFileSync(path.join(this.dir, 'conf'), this.config());
        this.child = spawn(NGINX, ['-e', path.join(this.dir, 'error.log'), '-c', path.join(this.dir, 'conf')], { stdio: 'ignore' });
        this.child.unref();
        process.once('exit', () => this.child.kill('SIGKILL'));
        await until('nginx to listen', () => new Promise(done => {
            const s = net.connect(this.ports.good, '127.0.0.1', () => { s.destroy(); done(true); });
            s.on('error', () => done(false));
        }));
        return this;
    }

    stop() { this.child.kill('SIGKILL'); }

    get ca() { return this.authority.ca; }

    url(name = 'good') { return `${name === 'http' ? 'http' : 'https'}://127.0.0.1:${this.ports[name]}`; }

    put(name, data) {
        const file = path.join(this.www, name);
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.writeFileSync(file + '.part', typeof data === 'string' || Buffer.isBuffer(data) ? data : JSON.stringify(data));
        fs.renameSync(file + '.part', file);
    }

    // What was sent of that file, as nginx counts it: [{status, bytes, range}].
    sent(name) {
        return fs.readFileSync(path.join(this.dir, 'access.log'), 'utf8').split('\n').filter(Boolean).map(line => {
            const [status, bytes, uri, ...range] = line.split(' ');
            return { status: Number(status), bytes: Number(bytes), uri, range: range.join(' ') };
        }).filter(l => l.uri === name);
    }
}

// Passes a connection on to a port, and cuts it when so many bytes have come back: the next number of the list for each
// connection, null: not.
export class Cutter {
    constructor(port) {
        this.cuts = [];
        this.passed = [];
        this.server = net.createServer(client => this.pass(client, port)).unref();
    }

    pass(client, port) {
        const cut = this.cuts.shift() ?? Infinity, n = this.passed.push(0) - 1;
        const server = net.connect(port, '127.0.0.1').unref();
        client.unref();
        const end = () => { client.destroy(); server.destroy(); };
        for (const s of [client, server]) s.on('error', end).on('close', end);
        client.on('data', d => server.write(d));
        server.on('data', d => {
            const rest = cut - this.passed[n], piece = d.subarray(0, rest);
            this.passed[n] += piece.length;
            const more = client.write(piece, () => { if (this.passed[n] >= cut) end(); });
            if (!more) {
                server.pause();
                client.once('drain', () => server.resume());
            }
        });
    }

    async start() {
        await new Promise(done => this.server.listen(0, '127.0.0.1', done));
        this.port = this.server.address().port;
        return this;
    }

    stop() { this.server.close(); }
}

// A server by hand: answer(request, response, n-th request).
export async function serve(answer) {
    let n = 0;
    const server = http.createServer((q, r) => answer(q, r, n++)).unref();
    server.on('clientError', (e, s) => s.destroy());
    await new Promise(done => server.listen(0, '127.0.0.1', done));
    const close = () => { server.closeAllConnections(); server.close(); };
    return { url: `http://127.0.0.1:${server.address().port}`, close, requests: () => n };
}
