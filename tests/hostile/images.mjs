// The hostile images: one table, and every door is run through it. Each is made in memory from a good image, with
// checksum and SHA-256 mended where the case is about something else. Knows the format's bytes, and no door.
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { otter, VECTORS } from '../e2e/device.mjs';

const HEADER = 24, SEGMENT = 8, DESC = 256, SECTOR = 4096;
const CHECKSUM_AT = 33; // bytes before the end, where a SHA-256 is appended
const SLOT = 1740800;   // of table two_ota_large

// ---- an image in parts, and together again

function split(image) {
    const segments = [];
    let at = HEADER;
    for (let i = 0; i < image[1]; i++) {
        const length = image.readUInt32LE(at + 4);
        const data = Buffer.from(image.subarray(at + SEGMENT, at + SEGMENT + length));
        segments.push({ address: image.readUInt32LE(at), length, data });
        at += SEGMENT + length;
    }
    return { header: Buffer.from(image.subarray(0, HEADER)), segments };
}

// The segments as they are told; lengths and the header's count may lie. hash: false leaves it away.
function join({ header, segments, hash = true }) {
    const parts = [header];
    let sum = 0xef;
    for (const { address, length, data } of segments) {
        const head = Buffer.alloc(SEGMENT);
        head.writeUInt32LE(address, 0);
        head.writeUInt32LE(length, 4);
        parts.push(head, data);
        for (const byte of data) sum ^= byte;
    }
    const end = parts.reduce((n, p) => n + p.length, 0), padded = (end + 16) & ~15;
    const tail = Buffer.alloc(padded - end);
    tail[tail.length - 1] = sum;
    const body = Buffer.concat([...parts, tail]);
    return hash ? Buffer.concat([body, createHash('sha256').update(body).digest()]) : body;
}

// Parts changed, everything mended.
function remade(image, change) {
    const parts = split(image);
    change(parts);
    return join(parts);
}

// Bytes changed, nothing mended.
function poked(image, change) {
    const copy = Buffer.from(image);
    return change(copy) || copy;
}

const in_header = (image, change) => remade(image, p => { change(p.header); });
const in_desc = (image, change) => remade(image, p => { change(p.segments[0].data); });
const with_segment = (image, segment, count) => remade(image, p => {
    const data = segment.data || Buffer.alloc(0);
    p.segments.push({ length: data.length, ...segment, data });
    p.header[1] = count ?? p.segments.length;
});

// Bytes that look random and are the same in each run.
function noise(size, seed) {
    const out = [];
    for (let i = 0; i * 32 < size; i++) out.push(createHash('sha256').update(`${seed} ${i}`).digest());
    return Buffer.concat(out).subarray(0, size);
}

// ---- the table

// A case: [name, bytes, expected error (or "switched", "already_current"), options]:
//   spoils   the verdict needs more than the first bytes, so the spare slot may have been written to
//   by_push  what otter push says, where its own judge, who knows no slot, gives another name for the same
// Each image is a version of its own, so that one that is accepted is not the one that runs.
export async function hostile_images(bench) {
    const load = async (...args) => fs.readFileSync(await bench.image(...args));
    const good = await load('6.0.0', { size: 9000 }), small = await load('6.1.0', { size: 64 });
    const big = await load('6.2.0', { size: 1700000 }), plain = await load('6.3.0', { size: 9000 });
    const { segments } = split(good), ram = segments[1].address, drom = segments[0].address;
    const payload_at = HEADER + SEGMENT + DESC + SEGMENT, check_at = good.length - CHECKSUM_AT;
    const cut = n => good.subarray(0, n);
    const cases = [
        // What is no app image at all.
        ['zero length', Buffer.alloc(0), 'empty'],
        ['one byte, the right one', Buffer.of(0xe9), 'too_short'],
        ['one byte, a wrong one', Buffer.of(0), 'bad_magic'],
        ['287 bytes', cut(287), 'too_short'],
        ['random bytes', noise(50000, 'random'), 'bad_magic'],
        ['random bytes behind a right first byte', Buffer.concat([Buffer.of(0xe9), noise(50000, 'magic')]),
            'wrong_chip', { by_push: 'unknown_chip' }],
        ['erased flash', Buffer.alloc(50000, 0xff), 'bad_magic'],
        ['zeros', Buffer.alloc(50000), 'bad_magic'],
        ['gzip of an image', gzipSync(good), 'bad_magic'],
        ['an ELF file', Buffer.concat([Buffer.from('\x7fELF\x01\x01\x01', 'latin1'), noise(5000, 'elf')]), 'bad_magic'],
        ['an HTML page', Buffer.from('<!doctype html><title>404</title><h1>Not found</h1>'.repeat(40)), 'bad_magic'],
        ['Intel HEX', Buffer.from(':100000000C9434000C9449000C9449000C94490061\r\n'.repeat(40)), 'bad_magic'],
        ['UF2', Buffer.concat([Buffer.from('UF2\n'), noise(508, 'uf2')]), 'bad_magic'],
        ['a zip archive', Buffer.concat([Buffer.from('PK\x03\x04'), noise(3000, 'zip')]), 'bad_magic'],
        ['the image in base64', Buffer.from(good.toString('base64')), 'bad_magic'],
        ['a byte order mark in front', Buffer.concat([Buffer.of(0xef, 0xbb, 0xbf), good]), 'bad_magic'],
        ['line ends converted', Buffer.from(Buffer.concat([cut(400), Buffer.from('\n'), good.subarray(400)])
            .toString('latin1').replaceAll('\n', '\r\n'), 'latin1'), 'bad_checksum', { spoils: true }],
        ['a partition table', fs.readFileSync(path.join(VECTORS, 'partition_table/bin/default_two_ota_large.bin')),
            'bad_magic'],
        ['an NVS partition', await nvs_partition(bench), 'bad_magic'],
        ['a boot loader image', remade(good, p => {
            p.segments[0].address = ram;
            p.segments[0].data.fill(0).writeUInt32LE(0x50, 0);
        }), 'no_app_descriptor'],
        ['a factory file: the image at 0x10000 of erased flash', Buffer.concat([Buffer.alloc(0x10000, 0xff), good]),
            'bad_magic'],
        ['512 bytes of a foreign signature in front', Buffer.concat([noise(512, 'foreign').fill(0x30, 0, 1), good]),
            'bad_magic'],

        // The header.
        ['magic off by a bit', in_header(good, h => { h[0] ^= 1; }), 'bad_magic'],
        ['magic of the older chip', in_header(good, h => { h[0] = 0xea; }), 'bad_magic'],
        ['chip id of no chip', in_header(good, h => { h.writeUInt16LE(0x7777, 12); }), 'wrong_chip',
            { by_push: 'unknown_chip' }],
        ['chip id FFFF', in_header(good, h => { h.writeUInt16LE(0xffff, 12); }), 'wrong_chip',
            { by_push: 'unknown_chip' }],
        ['an image of another chip that says this one', await renamed_chip(load, 'esp32'), 'bad_segment_address'],
        ['lowest revision above the chip', in_header(good, h => { h.writeUInt16LE(4, 15); }), 'wrong_chip_revision'],
        ['lowest revision 65535', in_header(good, h => { h.writeUInt16LE(65535, 15); }), 'wrong_chip_revision'],
        ['highest revision below the chip', in_header(good, h => { h.writeUInt16LE(2, 17); }), 'wrong_chip_revision'],
        ['no segment, and nothing else', join({ header: poked(split(good).header, h => { h[1] = 0; }), segments: [] }),
            'no_app_descriptor'],
        ['no segment, then 4 KiB', Buffer.concat([join({ header: poked(split(good).header, h => { h[1] = 0; }),
            segments: [] }), noise(SECTOR, 'none')]), 'no_app_descriptor'],
        ['one segment too few named', in_header(good, h => { h[1] = 1; }), 'bad_checksum'],
        ['one segment more named, which the padding holds: empty', in_header(in_version(good, '6.11.0'), h => {
            h[1] = 3;
        }), 'switched'],
        ['two segments more named than there are', in_header(good, h => { h[1] = 4; }), 'bad_segment_length',
            { spoils: true }],
        ['17 segments', in_header(good, h => { h[1] = 17; }), 'bad_segment_count'],
        ['17 real segments', remade(good, p => {
            while (p.segments.length < 17) p.segments.push({ address: ram, length: 4, data: Buffer.alloc(4) });
            p.header[1] = 17;
        }), 'bad_segment_count'],
        ['255 segments', in_header(good, h => { h[1] = 255; }), 'bad_segment_count'],

        // Segments.
        ['first segment with an odd length', poked(good, b => { b.writeUInt32LE(257, HEADER + 4); }),
            'bad_segment_length'],
        ['second segment with an odd length', poked(good, b => { b.writeUInt32LE(8999, payload_at - 4); }),
            'bad_segment_length'],
        ['segment of 16 MiB', poked(good, b => { b.writeUInt32LE(1 << 24, payload_at - 4); }), 'bad_segment_length'],
        ['segment of 16 MiB less 4', poked(good, b => { b.writeUInt32LE((1 << 24) - 4, payload_at - 4); }), 'too_big'],
        ['segment length FFFFFFFC, which wraps', poked(good, b => { b.writeUInt32LE(0xfffffffc, payload_at - 4); }),
            'bad_segment_length'],
        ['segment length FFFFFFFF', poked(good, b => { b.writeUInt32LE(0xffffffff, payload_at - 4); }),
            'bad_segment_length'],
        ['first segment length FFFFFFFF', poked(good, b => { b.writeUInt32LE(0xffffffff, HEADER + 4); }),
            'bad_segment_length'],
        ['segment one word longer than the slot', poked(good, b => { b.writeUInt32LE(SLOT, payload_at - 4); }),
            'too_big', { by_push: 'bad_segment_address' }],
        ['first segment one word short of a descriptor', remade(good, p => {
            p.segments[0].data = p.segments[0].data.subarray(0, 252);
            p.segments[0].length = 252;
        }), 'no_app_descriptor'],
        ['first segment empty', remade(good, p => { p.segments.unshift({ address: drom, length: 0,
            data: Buffer.alloc(0) }); p.header[1] = 3; }), 'no_app_descriptor'],
        ['load address nowhere', remade(good, p => { p.segments[1].address = 0x60000000; }), 'bad_segment_address'],
        ['load address in ROM', remade(good, p => { p.segments[1].address = 0x40000000; }), 'bad_segment_address'],
        ['load address FFFFFFF0, which wraps', remade(good, p => { p.segments[1].address = 0xfffffff0; }),
            'bad_segment_address'],
        ['segment that runs out of its memory', remade(good, p => { p.segments[1].address = 0x403dfff0; }),
            'bad_segment_address'],
        ['first segment nowhere', remade(good, p => { p.segments[0].address = 0x60000020; }), 'bad_segment_address'],
        ['mapped segment off by a word', remade(good, p => { p.segments[0].address = drom + 4; }),
            'bad_segment_alignment'],
        ['mapped segment off by half a page', remade(good, p => { p.segments[0].address = drom + 0x8000; }),
            'bad_segment_alignment'],
        ['second mapped segment misaligned', with_segment(good, { address: 0x42000000, data: noise(256, 'irom') }),
            'bad_segment_alignment'],
        ['mapped segment at the end of its window', remade(good, p => { p.segments[0].address = 0x3c800020; }),
            'bad_segment_address'],
        ['overlapping segments in RAM, which the boot loader loads',
            with_segment(in_version(good, '6.4.0'), { address: ram, data: noise(64, 'over') }), 'switched'],
        ['16 segments, the most there may be', remade(in_version(good, '6.5.0'), p => {
            while (p.segments.length < 16) p.segments.push({ address: ram, length: 4, data: Buffer.alloc(4) });
            p.header[1] = 16;
        }), 'switched'],
        ['padding segment at address 0, which is skipped',
            with_segment(in_version(good, '6.6.0'), { address: 0, data: noise(32, 'pad') }), 'switched'],

        // The descriptor.
        ['no descriptor', in_desc(good, d => { d.fill(0); }), 'no_app_descriptor'],
        ['descriptor magic off by a bit', in_desc(good, d => { d[0] ^= 0x10; }), 'no_app_descriptor'],
        ['descriptor magic backwards', in_desc(good, d => { d.writeUInt32BE(0xabcd5432, 0); }), 'no_app_descriptor'],
        ['descriptor one word late', in_desc(good, d => { d.copyWithin(4, 0, 252); d.fill(0, 0, 4); }),
            'no_app_descriptor'],
        ['eFuse block revision above the chip', in_desc(good, d => { d.writeUInt16LE(900, 176); }),
            'wrong_efuse_revision'],
        ['other project', in_project(good, 'kettle'), 'wrong_project'],
        ['project in capitals', in_project(good, 'DEMO'), 'wrong_project'],
        ['project with more behind', in_project(good, 'demo2'), 'wrong_project'],
        ['project empty', in_project(good, ''), 'wrong_project'],
        ['project of control characters', in_project(good, '\x1b[2J\x1b]0;x\x07\r\n\x7f'), 'wrong_project'],
        ['project of markup', in_project(good, '<script>alert(1)</script>'), 'wrong_project'],
        ['project of format directives', in_project(good, '%s%n%s%n%s%n'), 'wrong_project'],
        ['project of no valid UTF-8', in_project(good, '\xff\xfe\xc0\xaf\xed\xa0\x80'), 'wrong_project'],
        ['project of 32 bytes without NUL', in_project(good, 'p'.repeat(32)), 'wrong_project'],
        ['project like a header line', in_project(good, 'x\r\nSet-Cookie: a=b\r\n\r\n'), 'wrong_project'],
        ['an older version, which is taken: versions are not ordered', in_version(good, '0.9.0'), 'switched'],
        ['version of 32 bytes without NUL', in_version(good, 'v'.repeat(32)), 'switched',
            { version: 'v'.repeat(32) }],
        ['secure version FFFFFFFF, which only the chip could refuse',
            in_desc(in_version(good, '6.7.0'), d => { d.writeUInt32LE(0xffffffff, 4); }), 'switched'],

        // Sizes.
        ['too big by its length', await load('6.8.0', { size: 1800000 }), 'too_big', { spoils: true }],
        ['good, but the file is longer than the slot',
            Buffer.concat([good, Buffer.alloc(SLOT + 1 - good.length, 0xff)]), 'too_big', { spoils: true }],

        // Cut at each border.
        ...Object.entries({
            'in the header': [HEADER - 1, 'too_short'],
            'behind the header': [HEADER, 'too_short'],
            "in the first segment's header": [HEADER + 4, 'too_short'],
            "behind the first segment's header": [HEADER + SEGMENT, 'too_short'],
            'in the descriptor': [HEADER + SEGMENT + 128, 'too_short'],
            'behind the descriptor': [HEADER + SEGMENT + DESC, 'truncated'],
            "in the second segment's header": [payload_at - 4, 'truncated'],
            "behind the second segment's header": [payload_at, 'truncated'],
            'in the payload, in the first sector': [SECTOR - 1, 'truncated'],
            'in the payload, at a sector': [SECTOR, 'truncated'],
            'in the payload, behind a sector': [SECTOR + 1, 'truncated'],
            'behind the payload': [payload_at + 9000, 'truncated'],
            'in the padding': [check_at - 1, 'truncated'],
            'before the checksum': [check_at, 'truncated'],
            'behind the checksum': [check_at + 1, 'truncated'],
            'in the SHA-256': [good.length - 16, 'truncated'],
            "at the SHA-256's last byte": [good.length - 1, 'truncated'],
        }).map(([where, [n, error]]) => ['cut ' + where, cut(n), error, { spoils: n >= SECTOR }]),

        // Damage.
        ['checksum off by a bit', poked(good, b => { b[check_at] ^= 1; }), 'bad_checksum', { spoils: true }],
        ['payload off by a bit', poked(good, b => { b[5000] ^= 0x80; }), 'bad_checksum', { spoils: true }],
        ['two bits off, so that the checksum stays', poked(good, b => { b[5000] ^= 1; b[5004] ^= 1; }), 'bad_hash',
            { spoils: true }],
        ['two bytes swapped', poked(good, b => { [b[5000], b[5001]] = [b[5001] ^ 1, b[5000] ^ 1]; }), 'bad_hash',
            { spoils: true }],
        ['entry address changed', poked(good, b => { b[4] ^= 4; }), 'bad_hash', { spoils: true }],
        ['padding not zero', poked(good, b => { b[check_at - 1] ^= 1; }), 'bad_hash', { spoils: true }],
        ['SHA-256 off by a bit', poked(good, b => { b[good.length - 1] ^= 1; }), 'bad_hash', { spoils: true }],
        ['SHA-256 of zeros', poked(good, b => { b.fill(0, good.length - 32); }), 'bad_hash', { spoils: true }],
        ['small image, two bits off', poked(small, b => { b[300] ^= 1; b[304] ^= 1; }), 'bad_hash', { spoils: true }],
        ['large image, damaged at its end', poked(big, b => { b[big.length - 100] ^= 1; }), 'bad_checksum',
            { spoils: true }],
        ['SHA-256 flag cleared, checksum wrong', poked(good, b => { b[23] = 0; b[5000] ^= 1; }), 'bad_checksum',
            { spoils: true }],
        ['SHA-256 flag cleared and damage that the checksum does not see: nothing is left to tell by',
            poked(plain, b => { b[23] = 0; b[5000] ^= 1; b[5004] ^= 1; }), 'switched', { version: '6.3.0' }],
        ['SHA-256 flag 2, damaged', poked(good, b => { b[23] = 2; }), 'bad_hash', { spoils: true }],
        ['SHA-256 flag 2, mended, which the boot loader takes',
            in_header(in_version(good, '6.9.0'), h => { h[23] = 2; }), 'switched'],
        ['SHA-256 flag set, none appended', join({ ...split(good), hash: false }), 'truncated', { spoils: true }],
        ['another image behind it, which is ignored', Buffer.concat([in_version(good, '6.10.0'), good]), 'switched'],
    ];
    for (const chip of ['esp32', 'esp32s2', 'esp32s3', 'esp32c2', 'esp32c6', 'esp32h2', 'esp32p4', 'esp32c61',
        'esp32c5'])
        cases.push(['for ' + chip, await load('6.0.0', { chip, size: 9000 }), 'wrong_chip']);
    return cases.map(as_case);
}

// For an ESP32-C6, whose MMU page size the descriptor chooses.
export async function hostile_images_c6(bench) {
    const good = fs.readFileSync(await bench.image('6.0.0', { chip: 'esp32c6', size: 9000 }));
    return [0xff, 40, 17, 12, 1].map(log2 => [`MMU page of 2^${log2} bytes`, in_desc(good, d => { d[180] = log2; }),
        'bad_mmu_page_size']).map(as_case);
}

// For a device that takes only images signed with `key`.
export async function hostile_images_signed(bench, { key, stranger }) {
    const image = await bench.image('6.0.0', { size: 9000 }), good = fs.readFileSync(image);
    const sign = async (...keys) => {
        const out = bench.file('');
        const r = await otter(['image', 'sign', image, ...keys.flatMap(k => ['--key', k]), '-o', out]);
        if (r.code !== 0) throw new Error('image sign: ' + r.err);
        return fs.readFileSync(out);
    };
    const ours = await sign(key), theirs = await sign(stranger), both = await sign(stranger, key);
    const at = ours.length - SECTOR, spoils = { spoils: true };
    // The padding between image and signature is signed as well.
    const padding = fs.readFileSync(image).length < at;
    return [
        ['unsigned', good, 'unsigned', spoils],
        ['stripped of its signature', ours.subarray(0, at), 'unsigned', spoils],
        ['signature cut by a byte', ours.subarray(0, ours.length - 1), 'unsigned', spoils],
        ['signature cut to one block', ours.subarray(0, at + 1216), 'unsigned', spoils],
        ['signature sector erased', poked(ours, b => { b.fill(0xff, at); }), 'unsigned', spoils],
        ['signature of zeros', poked(ours, b => { b.fill(0, at); }), 'unsigned', spoils],
        ['signature in front', Buffer.concat([ours.subarray(at), ours.subarray(0, at)]), 'bad_magic'],
        ['signature a sector late', Buffer.concat([ours.subarray(0, at), Buffer.alloc(SECTOR, 0xff),
            ours.subarray(at)]), 'unsigned', spoils],
        ['untrusted key', theirs, 'untrusted_key', spoils],
        ["untrusted key's signature with the trusted key in it", poked(theirs, b => {
            ours.copy(b, at + 36, at + 36, at + 101);
        }), 'bad_signature', spoils],
        ['signature off by a bit', poked(ours, b => { b[at + 101] ^= 1; }), 'bad_signature', spoils],
        ['signed digest off by a bit', poked(ours, b => { b[at + 4] ^= 1; }), 'bad_signature', spoils],
        ['signature block of an unknown version', poked(ours, b => { b[at + 1] = 9; }), 'bad_signature', spoils],
        ["another image's signature", Buffer.concat([remade(good, p => { p.segments[1].data[0] ^= 1; }),
            ours.subarray(good.length)]), 'bad_signature', spoils],
        ...(padding ? [['padding before the signature changed', poked(ours, b => { b[at - 1] ^= 1; }),
            'bad_signature', spoils]] : []),
        ['signed, then damaged', poked(ours, b => { b[5000] ^= 1; b[5004] ^= 1; }), 'bad_hash', spoils],
        ['a stranger first, then the trusted key', both, 'switched', { version: '6.0.0' }],
    ].map(as_case);
}

// ---- helpers of the table

function as_case([name, bytes, error, options = {}]) {
    const version = bytes.length > 80 ? bytes.toString('latin1', 48, 80).split('\0')[0] : '';
    return { name, bytes, error, version, spoils: false, by_push: error, accepted: error === 'switched', ...options };
}

function text_at(image, at, text) {
    return in_desc(image, d => { d.fill(0, at, at + 32); d.write(text, at, 32, 'latin1'); });
}

function in_version(image, version) { return text_at(image, 16, version); }
function in_project(image, project) { return text_at(image, 48, project); }

async function renamed_chip(load, chip) {
    return in_header(await load('6.0.0', { chip, size: 9000 }), h => { h.writeUInt16LE(5, 12); });
}

async function nvs_partition(bench) {
    const csv = bench.file('key,type,encoding,value\napp,namespace,,\nmode,data,u8,5\n', '.csv'), out = bench.file('');
    const r = await otter(['nvs', 'build', csv, '-o', out, '--size', '24K']);
    if (r.code !== 0) throw new Error('nvs build: ' + r.err);
    return fs.readFileSync(out);
}
