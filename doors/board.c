/* Board configuration as JSON and in the settings. Knows the schema; YAML is the port's. */
#include "doors/board.h"

#include <cJSON.h>
#include <stdlib.h>
#include <string.h>

#include "doors/text.h"
#include "doors/url.h"

static const char settings_ns[] = "ota", settings_key[] = "channels";

const char *otter_board_add(struct otter_board *b, const char *name, const char *path)
{
    struct otter_url url;
    size_t count = otter_utf8_count(name), size = strlen(path);
    if (b->count == OTTER_CHANNELS) return "there are more than 3 channels";
    if (count == 0) return "a channel's name is empty";
    if (count == SIZE_MAX) return "a channel's name is no UTF-8, or has control characters";
    if (count > OTTER_CHANNEL_NAME) return "a channel's name is longer than 16 characters";
    for (unsigned i = 0; i < b->count; i++)
        if (strcmp(b->channel[i].name, name) == 0) return "two channels have one name";
    if (size > OTTER_CHANNEL_PATH) return "a channel's path is longer than 1024 characters";
    if (!otter_url_read(path, &url)) return "a channel's path is no http or https URL";
    struct otter_board_channel *c = &b->channel[b->count];
    c->path = malloc(size + 1);
    if (!c->path) return "memory is out";
    memcpy(c->path, path, size + 1);
    memcpy(c->name, name, strlen(name) + 1);
    b->count++;
    return NULL;
}

void otter_board_free(struct otter_board *b)
{
    for (unsigned i = 0; i < b->count; i++) free(b->channel[i].path);
    memset(b, 0, sizeof *b);
}

static const char *add_channel(struct otter_board *b, const cJSON *c)
{
    const cJSON *item;
    const char *name = NULL, *path = NULL;
    if (!cJSON_IsObject(c)) return "a channel is no object";
    cJSON_ArrayForEach(item, c)
    {
        bool is_name = strcmp(item->string, "name") == 0;
        const char **to = is_name ? &name : &path;
        if (!is_name && strcmp(item->string, "path") != 0) return "a channel has other keys than name and path";
        if (!cJSON_IsString(item)) return is_name ? "a channel's name is no text" : "a channel's path is no text";
        *to = item->valuestring;
    }
    if (!name) return "a channel has no name";
    return path ? otter_board_add(b, name, path) : "a channel has no path";
}

static const char *read_json(const cJSON *json, struct otter_board *b)
{
    const cJSON *ota = cJSON_GetObjectItemCaseSensitive(json, "ota"), *channel;
    const cJSON *channels = cJSON_GetObjectItemCaseSensitive(ota, "channels");
    if (!cJSON_IsObject(json)) return "it is no JSON object within its limits, each key in it once";
    if (!ota) return "\"ota\" is missing";
    if (!cJSON_IsObject(ota)) return "\"ota\" is no object";
    if (!channels) return "\"channels\" is missing";
    if (cJSON_GetArraySize(ota) != 1) return "\"ota\" has other keys than channels";
    if (!cJSON_IsArray(channels)) return "\"channels\" is no list";
    if (!cJSON_GetArraySize(channels)) return "there is no channel";
    cJSON_ArrayForEach(channel, channels)
    {
        const char *why = add_channel(b, channel);
        if (why) return why;
    }
    return NULL;
}

const char *otter_board_read(const char *text, size_t size, struct otter_board *out)
{
    memset(out, 0, sizeof *out);
    cJSON *json = otter_json_read(text, size);
    const char *why = read_json(json, out);
    cJSON_Delete(json);
    if (why) otter_board_free(out);
    return why;
}

char *otter_board_write(const struct otter_board *b)
{
    cJSON *json = cJSON_CreateObject();
    cJSON *channels = cJSON_AddArrayToObject(cJSON_AddObjectToObject(json, "ota"), "channels");
    for (unsigned i = 0; i < b->count; i++) {
        cJSON *c = cJSON_CreateObject();
        cJSON_AddStringToObject(c, "name", b->channel[i].name);
        cJSON_AddStringToObject(c, "path", b->channel[i].path);
        cJSON_AddItemToArray(channels, c);
    }
    char *text = cJSON_PrintUnformatted(json);
    cJSON_Delete(json);
    return text;
}

void otter_board_load(const struct otter_device *d, struct otter_board *out)
{
    const struct otter_settings *s = d->ports.settings;
    size_t size = OTTER_BOARD_MAX + 1;
    char *text = s ? malloc(size) : NULL;
    memset(out, 0, sizeof *out);
    if (text && s->get(s->ctx, settings_ns, settings_key, OTTER_SETTING_STRING, text, &size) == 0 && size > 1 &&
        size <= OTTER_BOARD_MAX + 1)
        otter_board_read(text, size - 1, out);
    free(text);
}

enum otter_err otter_board_save(struct otter_device *d, const struct otter_board *b)
{
    const struct otter_settings *s = d->ports.settings;
    if (!s) return OTTER_SETTINGS;
    char *text = otter_board_write(b);
    if (!text) return OTTER_MEMORY;
    size_t size = strlen(text) + 1;
    enum otter_err e = size > OTTER_BOARD_MAX + 1 ? OTTER_SETTINGS : OTTER_OK;
    if (!e && s->set(s->ctx, settings_ns, settings_key, OTTER_SETTING_STRING, text, size)) e = OTTER_SETTINGS;
    free(text);
    return e;
}
