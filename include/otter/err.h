/* Every error Otter can give: one table, from which enum, names, sentences, HTTP status and exit status come.
 * Numbers are frozen: tests/err_frozen.txt lists what has shipped. A decade or two a room:
 * -10 call, -20 and -30 image, -40 trust, -50 flash, -60 boot, -70 door, -90 settings, -100 layout, -110 and -120
 * channels and fetching. */
#ifndef OTTER_ERR_H
#define OTTER_ERR_H

/* X(constant, number, name, HTTP status, exit status, sentence)
 * HTTP 521 to 523 are those of the device API that the push door keeps: 521 flash or boot state, 522 receiving,
 * 523 the image itself. Exit status by family: 0 done, 2 usage, 3 image or format, 4 refused, 5 flash or device,
 * 6 connection. */
/* Every device tells these, */
#define OTTER_DEVICE_ERRORS(X)                                                                                         \
    X(OK, 0, "ok", 200, 0, "Done.")                                                                                    \
    X(AGAIN, 1, "again", 202, 0, "Not finished yet; the next step is due.")                                            \
    X(ALREADY_CURRENT, 2, "already_current", 200, 0, "This very image already runs; nothing was changed.")             \
    X(ARG, -10, "bad_argument", 400, 2, "An argument is out of its range.")                                            \
    X(STATE, -11, "bad_state", 409, 4, "The update is not at the step that this call belongs to.")                     \
    X(BUSY, -12, "busy", 409, 4, "Another update is under way; wait until it has ended.")                              \
    X(IDLE, -13, "idle_timeout", 522, 6, "No bytes came for too long; the update was given up.")                       \
    X(ABORTED, -14, "aborted", 522, 6, "The update was broken off before its end.")                                    \
    X(OFFSET, -15, "wrong_offset", 409, 4, "The bytes do not begin where the device wants them; ask its status.")      \
    X(LENGTH_REQUIRED, -16, "length_required", 411, 2,                                                                 \
      "The size must be known before the first byte is placed; send Content-Length.")                                  \
    X(MEMORY, -17, "out_of_memory", 503, 5, "The device has not enough memory for this now; try again.")               \
    X(EMPTY, -20, "empty", 523, 3, "The file is empty; choose an app image (.bin).")                                   \
    X(TRUNCATED, -21, "truncated", 523, 3, "The image ends before its own length; transfer it again.")                 \
    X(MAGIC, -22, "bad_magic", 523, 3, "This is not an ESP32 app image: its first byte is not 0xE9.")                  \
    X(CHIP, -23, "wrong_chip", 523, 3, "The image was built for another chip.")                                        \
    X(CHIP_UNKNOWN, -24, "unknown_chip", 523, 3, "The image names a chip that is not known.")                          \
    X(CHIP_REV, -25, "wrong_chip_revision", 523, 3, "The image does not run on this revision of the chip.")            \
    X(EFUSE_REV, -26, "wrong_efuse_revision", 523, 3, "The image does not run with this chip's eFuse block revision.") \
    X(SEGMENT_COUNT, -27, "bad_segment_count", 523, 3, "The image names more segments than the 16 that are allowed.")  \
    X(SEGMENT_LENGTH, -28, "bad_segment_length", 523, 3,                                                               \
      "A segment's length is not a multiple of 4 below 16 MiB; the image is damaged.")                                 \
    X(SEGMENT_ALIGN, -29, "bad_segment_alignment", 523, 3,                                                             \
      "A flash-mapped segment does not lie where its load address needs it.")                                          \
    X(SEGMENT_ADDR, -30, "bad_segment_address", 523, 3, "A segment's load address is no memory of this chip.")         \
    X(NO_DESCRIPTOR, -31, "no_app_descriptor", 523, 3,                                                                 \
      "The image has no app descriptor, so its version and project cannot be told; build it with one.")                \
    X(PAGE_SIZE, -32, "bad_mmu_page_size", 523, 3, "The app descriptor names an MMU page size that the chip has not.") \
    X(TOO_SHORT, -33, "too_short", 523, 3, "The image is shorter than the 288 bytes of header and app descriptor.")    \
    X(CHECKSUM, -34, "bad_checksum", 523, 3, "The image's checksum is wrong; it was damaged on its way.")              \
    X(HASH, -35, "bad_hash", 523, 3, "The image's SHA-256 is wrong; it was damaged on its way.")                       \
    X(TOO_BIG, -36, "too_big", 413, 4, "The image does not fit into the slot.")                                        \
    X(PROJECT, -40, "wrong_project", 523, 4, "The image is of another project than the firmware that runs.")           \
    X(VERSION, -41, "wrong_version", 523, 4, "The image's version is not the one that was announced.")                 \
    X(SECURE_VERSION, -42, "secure_version_too_old", 523, 4,                                                           \
      "The image's secure version is below the one burnt into this chip.")                                             \
    X(DIGEST, -43, "wrong_digest", 523, 3, "The file's SHA-256 is not the one that was announced.")                    \
    X(SIZE, -44, "wrong_size", 522, 6, "Other than the announced number of bytes came.")                               \
    X(UNSIGNED, -45, "unsigned", 523, 4,                                                                               \
      "There is no signature behind the image, and only signed ones are taken; sign it with a trusted key.")           \
    X(SIGNATURE, -46, "bad_signature", 523, 4,                                                                         \
      "The signature behind the image is damaged or not of this image; sign it anew and transfer it again.")           \
    X(UNTRUSTED_KEY, -47, "untrusted_key", 523, 4,                                                                     \
      "The image is signed, but with none of the trusted keys; sign it with one of them.")                             \
    X(BANNED, -48, "rolled_back_before", 409, 4,                                                                       \
      "This image was rolled back once; it is not taken again unless a person asks for it.")                           \
    X(FLASH_READ, -50, "flash_read", 521, 5, "Reading the flash failed.")                                              \
    X(FLASH_WRITE, -51, "flash_write", 521, 5, "Writing the flash failed.")                                            \
    X(FLASH_ERASE, -52, "flash_erase", 521, 5, "Erasing the flash failed.")                                            \
    X(FLASH_VERIFY, -53, "flash_verify", 521, 5, "What was read back from flash is not what was written.")             \
    X(CRYPTO, -54, "crypto", 521, 5, "The crypto driver failed.")                                                      \
    X(TABLE_MAGIC, -60, "table_bad_magic", 521, 3, "The partition table has a row that is none.")                      \
    X(TABLE_MD5, -61, "table_bad_md5", 521, 3, "The partition table's MD5 is wrong.")                                  \
    X(TABLE_END, -62, "table_no_end", 521, 3, "The partition table has no terminating row.")                           \
    X(TABLE_RANGE, -63, "table_out_of_flash", 521, 3, "A partition lies beyond the end of the flash.")                 \
    X(NO_OTADATA, -64, "no_otadata", 521, 4,                                                                           \
      "The partition table has no usable otadata partition, so no slot can be chosen.")                                \
    X(NO_SLOT, -65, "no_slot", 521, 4, "The partition table has no second slot that an update could go to.")           \
    X(UNCONFIRMED, -66, "pending_verify", 409, 4,                                                                      \
      "The running firmware has not been confirmed yet; confirm it or roll it back first.")                            \
    X(NOT_ACTIVE, -67, "not_active", 409, 4,                                                                           \
      "The firmware that runs is not the one that otadata names, so there is nothing to confirm.")                     \
    X(NO_PREVIOUS, -68, "no_previous", 409, 4, "There is no previous firmware to go back to.")                         \
    X(SEQ_END, -69, "otadata_sequence_end", 521, 5,                                                                    \
      "otadata's sequence number is at its end; erase otadata by cable.")                                              \
    X(UNAUTHORIZED, -70, "unauthorized", 401, 4, "Bad credentials")                                                    \
    X(FOREIGN_ORIGIN, -71, "foreign_origin", 403, 4, "The request was made by another site's page.")                   \
    X(FOREIGN_HOST, -72, "foreign_host", 403, 4,                                                                       \
      "The request is addressed to a host name that is not this device's; use its address.")                           \
    X(RECEIVE, -73, "receive_failed", 522, 6, "The connection broke before the last byte.")                            \
    X(MULTIPART, -74, "bad_multipart", 400, 3, "The form data holds no file, or is broken.")                           \
    X(NOT_FOUND, -75, "not_found", 404, 6, "There is nothing at this path.")                                           \
    X(METHOD, -76, "method_not_allowed", 405, 6, "This path does not take that method.")                               \
    X(NO_FILES, -81, "no_files", 404, 4, "This device has no region of flash for files.")                              \
    X(RANGE, -80, "bad_content_range", 400, 2,                                                                         \
      "Content-Range must be \"bytes FIRST-LAST/SIZE\" up to the file's end, with X-Firmware-SHA256 of the whole "     \
      "file.")

/* those with files, */
#define OTTER_FILES_ERRORS(X)                                                                                          \
    X(FILES_UNREADABLE, -82, "files_damaged", 409, 5,                                                                  \
      "What lies in the region for files cannot be read; it stays until it is emptied (DELETE /api/v1/files/).")       \
    X(BAD_FILE_NAME, -83, "bad_file_name", 400, 2,                                                                     \
      "A file's name is 1 to 63 bytes of UTF-8, without / \\ : * ? \" < > | and control characters, without a dot in " \
      "front or behind, and without a space there; there are no folders.")                                             \
    X(FILES_FULL, -84, "files_full", 413, 4, "There is no room for this file, or for its name.")                       \
    X(FILES_BUSY, -85, "files_busy", 409, 4,                                                                           \
      "Another file is being stored, or files are put away for an update; try again.")

/* those with elastic slots, */
#define OTTER_ELASTIC_ERRORS(X)                                                                    \
    X(NEEDS_ROLLBACK, -100, "needs_rollback", 521, 4,                                              \
      "Elastic slots need a boot loader that rolls back (CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE).") \
    X(NEEDS_SETTINGS, -101, "needs_settings", 521, 4,                                              \
      "Elastic slots need settings that can be written; look at the NVS partition.")               \
    X(DATA_LOSS, -102, "data_would_be_lost", 409, 4,                                               \
      "The update would cost the files in the data region; save them, and agree to that first.")   \
    X(DATA_BUSY, -103, "data_busy", 409, 4,                                                        \
      "The application does not let go of the data region now; try again later.")                  \
    X(DATA_TOO_BIG, -105, "data_too_big", 413, 4, "The data image does not fit beside this firmware.")

/* those that can change to them, */
#define OTTER_MIGRATE_ERRORS(X)                                                                                        \
    X(MIGRATION, -104, "cannot_migrate", 409, 4, "The device cannot go over to this partition table.")                 \
    X(WINDOW, -106, "window_not_accepted", 409, 4,                                                                     \
      "The partition table's sector would be rewritten, and a loss of power meanwhile costs the device until a cable " \
      "mends "                                                                                                         \
      "it; accept that window first.")

/* those that fetch updates; */
#define OTTER_PULL_ERRORS(X)                                                                                           \
    X(INSECURE, -111, "insecure_url", 403, 4,                                                                          \
      "Firmware comes over https; http is for loopback addresses, or where settings allow it and ask for signatures.") \
    X(CERTIFICATE, -112, "bad_certificate", 520, 6,                                                                    \
      "The server's certificate does not verify, so nothing was taken from it.")                                       \
    X(UNREACHABLE, -113, "server_unreachable", 520, 6, "The server could not be reached, or the connection broke.")    \
    X(NET_TIMEOUT, -114, "server_timeout", 520, 6, "The server did not answer, or did not go on, in time.")            \
    X(SERVER, -115, "server_refused", 520, 6, "The server answered with an error.")                                    \
    X(REDIRECTS, -116, "too_many_redirects", 520, 6, "The server sent the request on more than five times.")           \
    X(REPLY, -117, "bad_reply", 520, 6, "The server's reply makes no sense for a file that is fetched.")               \
    X(URL_EXPIRED, -118, "url_expired", 520, 6,                                                                        \
      "The server does not honour this URL, or not any more; a fresh one is needed.")                                  \
    X(CANCELLED, -119, "cancelled", 409, 4, "The update was cancelled.")                                               \
    X(DEADLINE, -120, "deadline", 520, 6, "The update was not through in the time it had.")                            \
    X(URL, -121, "bad_url", 400, 2, "This is no http or https URL of at most 4,096 characters.")                       \
    X(NO_BUILD, -122, "no_build", 520, 4, "The release has no build for this chip.")                                   \
    X(NO_CHANNEL, -123, "no_channel", 404, 4, "There is no channel of this name.")                                     \
    X(NEEDS_CABLE, -124, "needs_cable", 409, 4, "This release cannot be taken over the air; install it by cable.")     \
    X(OLDER_VERSION, -125, "older_version", 409, 4,                                                                    \
      "The channel offers an older version than the one that runs; it is taken only if it is asked for.")              \
    X(TOO_FAR, -126, "version_too_far", 409, 4,                                                                        \
      "This release needs a newer version to be updated from; install one in between first.")                          \
    X(BOARD, -127, "bad_board", 400, 3, "This is no board configuration.")                                             \
    X(JOB, -86, "bad_job", 400, 3, "This is no update job.")                                                           \
    X(NOT_JSON, -128, "not_json", 415, 2, "Not JSON body")                                                             \
    X(TOO_LARGE, -18, "body_too_large", 413, 2, "The body is larger than anything that belongs here.")                 \
    X(SETTINGS, -98, "settings_failed", 500, 5, "The settings could not be written; look at the NVS partition.")       \
    X(DESCRIPTOR, -110, "bad_descriptor", 502, 3,                                                                      \
      "What the channel says of its firmware cannot be read; publish it anew.")

/* and these only tools, and devices with a settings store of ours. */
#define OTTER_TOOL_ERRORS(X)                                                                                     \
    X(NOT_NEWER, -49, "not_newer", 409, 4,                                                                       \
      "The version is not newer than the one that is there; ask for it by name if it is wanted.")                \
    X(ELF, -37, "bad_elf", 523, 3, "This is not an ELF file that an app image can be made from.")                \
    X(CONNECT, -77, "connection_failed", 502, 6, "The device could not be reached.")                             \
    X(BROKER, -87, "broker_unreachable", 502, 6, "The MQTT broker could not be reached, or does not let us in.") \
    X(ROLLED_BACK, -78, "rolled_back", 500, 5, "The device went back to its previous firmware.")                 \
    X(NO_CONFIRM, -79, "not_confirmed", 500, 5, "The new firmware did not confirm in time.")                     \
    X(NVS_NOT_FOUND, -90, "nvs_not_found", 500, 4, "There is no setting of this name.")                          \
    X(NVS_TYPE, -91, "nvs_wrong_type", 500, 4, "The setting is there, but of another type than was asked for.")  \
    X(NVS_FULL, -92, "nvs_full", 500, 4,                                                                         \
      "The settings partition has no room left for this value; erase settings that are not needed any more.")    \
    X(NVS_NAME, -93, "nvs_bad_name", 500, 3, "A key or namespace name must have 1 to 15 characters.")            \
    X(NVS_TOO_LONG, -94, "nvs_too_long", 500, 4,                                                                 \
      "The value is too long: a string takes 3,999 bytes, a blob what all pages but one hold.")                  \
    X(NVS_VERSION, -95, "nvs_newer_version", 500, 3,                                                             \
      "The settings partition was written by a newer version of the format; use newer firmware or tools.")       \
    X(NVS_CORRUPT, -96, "nvs_corrupt", 500, 5, "The stored value is damaged; set or erase it.")                  \
    X(NVS_PAGES, -97, "nvs_no_free_page", 500, 5,                                                                \
      "The settings partition is smaller than 3 pages or has no free page, so it can only be read.")

#define OTTER_ERRORS(X)    \
    OTTER_DEVICE_ERRORS(X) \
    OTTER_FILES_ERRORS(X) OTTER_ELASTIC_ERRORS(X) OTTER_MIGRATE_ERRORS(X) OTTER_PULL_ERRORS(X) OTTER_TOOL_ERRORS(X)

enum otter_err {
#define OTTER_ERR_ENUM(constant, number, name, http, exit_status, text) OTTER_##constant = number,
    OTTER_ERRORS(OTTER_ERR_ENUM)
#undef OTTER_ERR_ENUM
};

/* All three take any number; an unknown one gives "unknown", its sentence, 500 and 1. The text is static. */
const char *otter_err_name(enum otter_err err);
const char *otter_err_text(enum otter_err err);
int otter_err_http(enum otter_err err);
int otter_err_exit(enum otter_err err);

#endif
