/* Filler for updates of realistic size: ASSETS_KIB KiB that look random and are the same in every build. */
    .section .assets, "a"
    .balign 4
    .set word, 0x6F747465
    .rept ASSETS_KIB * 256
    .set word, (word * 1664525 + 1013904223) & 0xFFFFFFFF
    .word word
    .endr
