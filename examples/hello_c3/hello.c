/* A program for the ESP32-C3 without any framework: says which firmware runs from which flash offset.
 * Knows a few registers; nothing of Otter, networks or confirming an update.
 * Source of register facts: ESP-IDF register headers for the ESP32-C3 (uart, rtc_cntl, timer_group, systimer,
 * ext_mem_defs). */
#include <stddef.h>
#include <stdint.h>

#ifndef VERSION
#error "give -DVERSION=\"1.0.0\""
#endif
#define PROJECT "hello_c3"

/* Known slots as SLOT("ota_0", 0x10000) SLOT(...): only to print a name beside the offset. */
#ifndef SLOTS
#define SLOTS
#endif

/* The app descriptor that boot loader, tools and Otter read: 256 bytes at offset 0x20 of the image. */
struct app_descriptor {
    uint32_t magic, secure_version, reserved[2];
    char version[32], project[32], time[16], date[16], framework[32];
    uint8_t elf_sha256[32]; /* filled in by `otter image build` */
    uint16_t efuse_revision_min, efuse_revision_max;
    uint8_t page_log2, reserved_end[75];
};
_Static_assert(sizeof(struct app_descriptor) == 256, "the app descriptor has 256 bytes");
_Static_assert(sizeof VERSION <= 32, "VERSION has at most 31 characters");

extern const struct app_descriptor descriptor;
__attribute__((used, section(".flash.appdesc"))) const struct app_descriptor descriptor = {
    .magic = 0xABCD5432,
    .version = VERSION,
    .project = PROJECT,
    .time = __TIME__,
    .date = __DATE__,
    .framework = "none",
    .page_log2 = 16,
};

static const struct slot {
    const char *name;
    uint32_t offset;
} slots[] = {
#define SLOT(name, offset) {name, offset},
    SLOTS
#undef SLOT
    {NULL, 0},
};

/* ---- registers ---- */

static volatile uint32_t *reg(uint32_t address) { return (volatile uint32_t *)(uintptr_t)address; }

#define UART0_FIFO 0x60000000u
#define UART0_STATUS 0x6000001Cu /* bits 16 to 25: bytes waiting to be sent */
#define RTC_WDT_FEED 0x600080A4u
#define RTC_WDT_LOCK 0x600080A8u
#define RTC_WDT_KEY 0x50D83AA1u
#define SUPER_WDT_CONFIG 0x600080ACu
#define SUPER_WDT_LOCK 0x600080B0u
#define SUPER_WDT_KEY 0x8F1D312Au
#define SUPER_WDT_FEEDS_ITSELF 0x80000000u
#define TIMER0_WDT_CONFIG 0x6001F048u
#define TIMER0_WDT_LOCK 0x6001F064u
#define TIMER0_WDT_KEY 0x50D83AA1u
#define TIMER0_WDT_UPDATE 0x00400000u
#define SYSTIMER_SNAPSHOT 0x60023004u
#define SYSTIMER_TAKE 0x40000000u
#define SYSTIMER_TAKEN 0x20000000u
#define SYSTIMER_LOW 0x60023044u
#define SYSTIMER_HZ 16000000u
#define MMU_TABLE 0x600C5000u
#define MMU_PAGES 128u
#define MMU_INVALID 0x100u

/* ---- watchdogs ---- */

/* Timer group 0's watchdog and the super watchdog guard the ROM's own start; their work is done. */
static void quiet_watchdogs(void)
{
    *reg(TIMER0_WDT_LOCK) = TIMER0_WDT_KEY;
    *reg(TIMER0_WDT_CONFIG) = TIMER0_WDT_UPDATE;
    *reg(TIMER0_WDT_LOCK) = 0;
    *reg(SUPER_WDT_LOCK) = SUPER_WDT_KEY;
    *reg(SUPER_WDT_CONFIG) |= SUPER_WDT_FEEDS_ITSELF;
    *reg(SUPER_WDT_LOCK) = 0;
}

/* The RTC watchdog stays as the boot loader armed it (9 s): if this program hangs, the chip restarts and the boot
 * loader can go back to the firmware before it. */
static void feed_watchdog(void)
{
    *reg(RTC_WDT_LOCK) = RTC_WDT_KEY;
    *reg(RTC_WDT_FEED) = 0x80000000u;
    *reg(RTC_WDT_LOCK) = 0;
}

/* ---- console: as the boot loader left it, 115200 baud ---- */

static void put_char(char c)
{
    while ((*reg(UART0_STATUS) >> 16 & 0x3FF) >= 126) {
    }
    *reg(UART0_FIFO) = (uint8_t)c;
}

static void put(const char *text)
{
    while (*text) put_char(*text++);
}

static void put_hex(uint32_t value)
{
    int digit = 7;
    while (digit > 0 && !(value >> (4 * digit))) digit--;
    put("0x");
    for (; digit >= 0; digit--) put_char("0123456789abcdef"[value >> (4 * digit) & 15]);
}

static void put_number(uint32_t value)
{
    char text[11];
    char *at = text + sizeof text - 1;
    *at = '\0';
    do *--at = (char)('0' + value % 10);
    while (value /= 10);
    put(at);
}

/* ---- time ---- */

static uint32_t ticks(void)
{
    *reg(SYSTIMER_SNAPSHOT) = SYSTIMER_TAKE;
    while (!(*reg(SYSTIMER_SNAPSHOT) & SYSTIMER_TAKEN)) {
    }
    return *reg(SYSTIMER_LOW);
}

static void wait_ms(uint32_t ms)
{
    uint32_t from = ticks();
    while (ticks() - from < ms * (SYSTIMER_HZ / 1000)) {
    }
}

/* ---- what runs ---- */

/* The descriptor lies in the image's first 64 KiB page, and images start on such a page: the physical page behind its
 * address is where the slot starts. UINT32_MAX if it is not mapped. */
static uint32_t slot_offset(void)
{
    uint32_t entry = *reg(MMU_TABLE + 4 * ((uint32_t)(uintptr_t)&descriptor >> 16 & (MMU_PAGES - 1)));
    return entry & MMU_INVALID ? UINT32_MAX : (entry & 0xFF) << 16;
}

static void put_slot(uint32_t offset)
{
    for (const struct slot *s = slots; s->name; s++) {
        if (s->offset != offset) continue;
        put(" in ");
        put(s->name);
    }
    put(" at ");
    put_hex(offset);
}

/* Both live in RAM: the boot loader loads the one (volatile: a debugger may set it), the start code clears the other.
 */
static volatile uint32_t beat_every_ms = 5000;
static uint32_t beats;

extern void hello(void);
void hello(void)
{
    quiet_watchdogs();
    feed_watchdog();
    put("hello from " PROJECT " " VERSION);
    put_slot(slot_offset());
    put("\r\n");
    for (;;) {
        for (uint32_t waited = 0; waited < beat_every_ms; waited += 100) {
            wait_ms(100);
            feed_watchdog();
        }
        put(PROJECT " " VERSION " beat ");
        put_number(++beats);
        put("\r\n");
    }
}
