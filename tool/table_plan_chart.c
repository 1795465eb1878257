/* What image sizes leave for data, as text and as SVG. */
#include <string.h>

#include "tool/table_plan.h"

enum { BAR = 48, ROWS = 32 };

static uint32_t kib(uint32_t bytes) { return bytes / 1024; }

/* Not every size, if the range is long; but the app's. */
static bool is_shown(const struct otter_plan *p, uint32_t size)
{
    uint32_t n = (p->high - p->low) / OTTER_BLOCK + 1, step = (n + ROWS - 1) / ROWS;
    return (size - p->low) / OTTER_BLOCK % step == 0 || size == otter_plan_fit(p->wish.app) || size == p->high;
}

/* ---- text ---- */

static void print_bar(FILE *to, const struct otter_plan *p, uint32_t solid, uint32_t all)
{
    char bar[BAR + 1];
    uint64_t pool = p->pool_size, filled = all * (uint64_t)BAR / pool, dark = solid * (uint64_t)BAR / pool;
    memset(bar, ' ', BAR);
    memset(bar, '-', filled);
    memset(bar, '#', dark);
    bar[BAR] = '\0';
    fprintf(to, "|%s|", bar);
}

static void print_size(FILE *to, const struct otter_plan *p, uint32_t size)
{
    uint32_t now = otter_plan_settled(p, size), meanwhile = 0;
    bool followed = otter_plan_pending(p, size, size, &meanwhile);
    fprintf(to, "%7u  ", kib(size));
    print_bar(to, p, meanwhile, now);
    fprintf(to, " %7u ", kib(now));
    if (followed)
        fprintf(to, "%7u", kib(meanwhile));
    else
        fprintf(to, "%7s", "-");
    fprintf(to, "%s\n", size == otter_plan_fit(p->wish.app) ? "  planned app" : "");
}

static void print_fixed(FILE *to, const struct otter_plan *p, uint32_t first)
{
    int32_t data = otter_plan_beside(p, first, p->high);
    fprintf(to, "%9s", "");
    if (data < 0) {
        fprintf(to, "they do not fit\n");
        return;
    }
    print_bar(to, p, (uint32_t)data, (uint32_t)data);
    fprintf(to, " %7d %7d\n", data / 1024, data / 1024);
}

void plan_chart_text(FILE *to, const struct otter_plan *p)
{
    fprintf(to, "Data, in KiB, of a pool of %u KiB, by the image's size. #: left while an image of the same size\n",
            kib(p->pool_size));
    fprintf(to, "replaces it; # and -: left when no update is under way.\n\n");
    fprintf(to, "  image  elastic%43s settled pending\n", "");
    for (uint32_t size = p->low; size <= p->high; size += OTTER_BLOCK)
        if (is_shown(p, size)) print_size(to, p, size);
    fprintf(to, "\n         two fixed slots of %u KiB, for the largest of these images\n", kib(p->high));
    print_fixed(to, p, p->high);
    fprintf(to,
            "         rescue app of %u KiB and one slot of %u KiB; the old app is gone before the new one has run\n",
            kib(PLAN_RESCUE_APP), kib(p->high));
    print_fixed(to, p, PLAN_RESCUE_APP);
}

/* ---- SVG ---- */

/* The picture's size, the plot's edges in it, and the first line of the key. */
enum { WIDTH = 800, HEIGHT = 440, LEFT = 72, RIGHT = 776, TOP = 150, BOTTOM = 388, KEY = 50, KEY_LINE = 22 };

/* Colours differ, and so do dashes: the lines are told apart without colours. */
static const char style[] =
    "<style>\n"
    "svg { --paper: #ffffff; --ink: #1b1f24; --soft: #59636e; --grid: #d9dee3;\n"
    "      --settled: #0a58ca; --pending: #1a7f5a; --two: #b54708; --rescue: #8250df; }\n"
    "@media (prefers-color-scheme: dark) {\n"
    "  svg { --paper: #0f1419; --ink: #e6edf3; --soft: #9da7b1; --grid: #30363d;\n"
    "        --settled: #6cb0ff; --pending: #4ec79a; --two: #f0a35e; --rescue: #c297ff; }\n"
    "}\n"
    "text { font: 13px system-ui, sans-serif; fill: var(--ink); }\n"
    ".head { font-size: 16px; font-weight: 600; }\n"
    ".soft { fill: var(--soft); font-size: 12px; }\n"
    ".grid { stroke: var(--grid); }\n"
    ".line { fill: none; stroke-width: 2.5; }\n"
    ".settled { stroke: var(--settled); }\n"
    ".pending { stroke: var(--pending); stroke-dasharray: 9 4; }\n"
    ".two { stroke: var(--two); stroke-dasharray: 2 4; }\n"
    ".rescue { stroke: var(--rescue); stroke-dasharray: 12 4 2 4; }\n"
    ".app { stroke: var(--ink); stroke-dasharray: 3 3; }\n"
    "</style>\n";

/* A size holds for the 64 KiB up to it. */
static double x_of(const struct otter_plan *p, uint32_t size)
{
    double from = p->low - (double)OTTER_BLOCK;
    return LEFT + (RIGHT - LEFT) * (size - from) / (p->high - from);
}

static double y_of(const struct otter_plan *p, uint32_t data)
{
    return BOTTOM - (BOTTOM - TOP) * (data / (double)p->pool_size);
}

static void draw_axes(FILE *to, const struct otter_plan *p)
{
    uint32_t step = 256 * 1024, sizes = (p->high - p->low) / OTTER_BLOCK + 1, every = (sizes + 9) / 10 * OTTER_BLOCK;
    while (p->pool_size / step > 8) step *= 2;
    fprintf(to, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"end\">data, KiB</text>\n", LEFT - 8, TOP - 10);
    for (uint32_t data = 0; data <= p->pool_size; data += step) {
        double y = y_of(p, data);
        fprintf(to, "<path class=\"grid\" d=\"M%d %.1fH%d\"/>", LEFT, y, RIGHT);
        fprintf(to, "<text class=\"soft\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%u</text>\n", LEFT - 8, y + 4,
                kib(data));
    }
    for (uint32_t size = p->low; size <= p->high; size += every)
        fprintf(to, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%u</text>\n",
                x_of(p, size) - (x_of(p, p->low) - LEFT) / 2, BOTTOM + 20, kib(size));
    fprintf(to, "<text class=\"soft\" x=\"%d\" y=\"%d\" text-anchor=\"end\">image, KiB</text>\n", RIGHT, BOTTOM + 40);
}

static void draw_app(FILE *to, const struct otter_plan *p)
{
    double x = x_of(p, p->wish.app);
    bool left = x > (LEFT + RIGHT) / 2;
    fprintf(to, "<path class=\"app\" d=\"M%.1f %dV%d\"/>", x, TOP - 16, BOTTOM);
    fprintf(to, "<text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">planned app, %u bytes</text>\n",
            x + (left ? -6 : 6), TOP - 6, left ? "end" : "start", p->wish.app);
}

static bool settled(const struct otter_plan *p, uint32_t size, uint32_t *data)
{
    *data = otter_plan_settled(p, size);
    return true;
}

static bool pending(const struct otter_plan *p, uint32_t size, uint32_t *data)
{
    return otter_plan_pending(p, size, size, data);
}

static void draw_steps(FILE *to, const struct otter_plan *p, const char *class,
                       bool (*value)(const struct otter_plan *p, uint32_t size, uint32_t *data))
{
    bool drawing = false;
    fprintf(to, "<path class=\"line %s\" d=\"", class);
    for (uint32_t size = p->low; size <= p->high; size += OTTER_BLOCK) {
        uint32_t data;
        bool known = value(p, size, &data);
        if (known && drawing)
            fprintf(to, "V%.1fH%.1f", y_of(p, data), x_of(p, size));
        else if (known)
            fprintf(to, "M%.1f %.1fH%.1f", x_of(p, size - OTTER_BLOCK), y_of(p, data), x_of(p, size));
        drawing = known;
    }
    fprintf(to, "\"/>\n");
}

static void draw_fixed(FILE *to, const struct otter_plan *p, const char *class, uint32_t first)
{
    int32_t data = otter_plan_beside(p, first, p->high);
    if (data >= 0)
        fprintf(to, "<path class=\"line %s\" d=\"M%d %.1fH%d\"/>\n", class, LEFT, y_of(p, (uint32_t)data), RIGHT);
}

/* One line of the key: a piece of the line, its name, what it leaves; negative: nothing, it does not fit. */
static void draw_key(FILE *to, int line, const char *class, const char *name, int64_t data)
{
    int y = KEY + line * KEY_LINE;
    fprintf(to, "<path class=\"line %s\" d=\"M%d %dh36\"/><text x=\"%d\" y=\"%d\">%s: ", class, LEFT, y - 4, LEFT + 46,
            y, name);
    if (data < 0)
        fprintf(to, "does not fit</text>\n");
    else
        fprintf(to, "%lld KiB</text>\n", (long long)(data / 1024));
}

static void draw_keys(FILE *to, const struct otter_plan *p)
{
    char name[128];
    uint32_t data;
    draw_key(to, 0, "settled", "elastic, with the planned app", otter_plan_settled(p, p->wish.app));
    draw_key(to, 1, "pending", "elastic, while the app is replaced by one of its size",
             pending(p, p->wish.app, &data) ? (int64_t)data : -1);
    snprintf(name, sizeof name, "two fixed slots of %u KiB", kib(p->high));
    draw_key(to, 2, "two", name, otter_plan_beside(p, p->high, p->high));
    snprintf(name, sizeof name, "rescue app of %u KiB and one slot of %u KiB, no way back", kib(PLAN_RESCUE_APP),
             kib(p->high));
    draw_key(to, 3, "rescue", name, otter_plan_beside(p, PLAN_RESCUE_APP, p->high));
}

void plan_chart_svg(FILE *to, const struct otter_plan *p)
{
    fprintf(to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" role=\"img\" aria-labelledby=\"title\">\n",
            WIDTH, HEIGHT);
    fprintf(to, "<title id=\"title\">Data that images of %u to %u KiB leave on a flash of %u MiB</title>\n%s",
            kib(p->low), kib(p->high), p->wish.flash_size >> 20, style);
    fprintf(to, "<rect width=\"%d\" height=\"%d\" style=\"fill: var(--paper)\"/>\n", WIDTH, HEIGHT);
    fprintf(to, "<text class=\"head\" x=\"%d\" y=\"26\">What images leave for data, of %u KiB</text>\n", LEFT,
            kib(p->pool_size));
    draw_axes(to, p);
    draw_app(to, p);
    draw_fixed(to, p, "rescue", PLAN_RESCUE_APP);
    draw_fixed(to, p, "two", p->high);
    draw_steps(to, p, "pending", pending);
    draw_steps(to, p, "settled", settled);
    draw_keys(to, p);
    fprintf(to, "</svg>\n");
}
