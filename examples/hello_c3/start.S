/* From the boot loader's jump to hello(): registers, traps, .bss.
 * The boot loader has loaded .data and mapped the flash, and left interrupts off. */
    .option arch, +zicsr
    .section .iram.start, "ax"
    .global start
start:
    csrw mie, zero
    la sp, stack_top
    la t0, traps
    ori t0, t0, 1       /* the C3 knows vectored traps only */
    csrw mtvec, t0
    la t0, bss_start
    la t1, bss_end
1:  bgeu t0, t1, 2f
    sw zero, 0(t0)
    addi t0, t0, 4
    j 1b
2:  call hello

/* Whatever goes wrong ends here; the RTC watchdog, no longer fed, restarts the chip. */
    .balign 256
    .option push
    .option norvc
traps:
    .rept 32
    j .
    .endr
    .option pop
