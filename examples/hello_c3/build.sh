#!/bin/sh
# Compiles hello_c3 and makes an app image of it: OUTDIR/hello_c3-VERSION.elf and .bin.
set -eu

if [ $# -lt 3 ] || [ $# -gt 4 ]; then
    echo "usage: $0 OTTER OUTDIR VERSION [ASSETS_KIB]" >&2
    echo "  environment: CC (riscv64-unknown-elf-gcc), SLOTS (\"ota_0=0x10000 ota_1=0x110000\": names to print)" >&2
    exit 2
fi
otter=$1 out=$2 version=$3 assets=${4:-0}
here=$(dirname "$0")
elf=$out/hello_c3-$version.elf

slots=
for slot in ${SLOTS:-}; do
    slots="$slots SLOT(\"${slot%%=*}\", ${slot#*=})"
done

# One version, one image: the compiler takes the descriptor's time and date from here.
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1767225600}
export SOURCE_DATE_EPOCH

compile() {
    "${CC:-riscv64-unknown-elf-gcc}" -march=rv32imc -mabi=ilp32 -std=c11 -Os -Wall -Wextra -Werror -ffreestanding \
        -fno-builtin -mno-relax -DVERSION="\"$version\"" -DSLOTS="$slots" -DASSETS_KIB="$assets" \
        -c "$here/$1" -o "$out/obj/$1.o"
}

mkdir -p "$out/obj"
compile start.S
compile assets.S
compile hello.c
"${CC:-riscv64-unknown-elf-gcc}" -march=rv32imc -mabi=ilp32 -nostdlib -static -Wl,--no-relax -Wl,--build-id=none \
    -T "$here/hello.ld" "$out/obj/start.S.o" "$out/obj/assets.S.o" "$out/obj/hello.c.o" -o "$elf"
"$otter" image build "$elf" -o "$out/hello_c3-$version.bin" --chip esp32c3
