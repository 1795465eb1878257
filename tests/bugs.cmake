# Planted bugs: `otter torture` with one wrong line in the engine, each of which it must find (tests/e2e/torture.test.mjs).
# otter_bug(NAME FILE "right" "wrong"): "right" must stand in FILE exactly once.
function(otter_bug name file right wrong)
  file(READ ${CMAKE_SOURCE_DIR}/${file} text)
  string(FIND "${text}" "${right}" first)
  string(FIND "${text}" "${right}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "bug ${name}: its right line does not stand once in ${file}: ${right}")
  endif()
  string(REPLACE "${right}" "${wrong}" text "${text}")
  set(source ${CMAKE_CURRENT_BINARY_DIR}/bugs/${name}.c)
  file(CONFIGURE OUTPUT ${source} CONTENT "${text}" @ONLY)
  set_property(DIRECTORY ${CMAKE_SOURCE_DIR} APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/${file})
  set_source_files_properties(${source} PROPERTIES COMPILE_OPTIONS -w)
  # The bug's object comes before the library, which then leaves its own out.
  add_executable(torture_${name} bugs_main.c ${source} $<TARGET_OBJECTS:torture_tool>)
  target_link_libraries(torture_${name} PRIVATE otter_tool otter_sim Threads::Threads)
endfunction()

add_library(torture_tool OBJECT ${CMAKE_SOURCE_DIR}/tool/torture.c ${CMAKE_SOURCE_DIR}/tool/torture_run.c
                                ${CMAKE_SOURCE_DIR}/tool/table_file.c)
target_link_libraries(torture_tool PUBLIC otter_tool otter_sim)

otter_bug(no_read_back core/flash.c "return same ? OTTER_OK : OTTER_FLASH_VERIFY" "return OTTER_OK")
otter_bug(switch_before_verify core/session.c "s->step = OTTER_STEP_VERIFYING;"
          "s->step = OTTER_STEP_VERIFYING, otter_boot_switch(s->device, s->slot);")
otter_bug(one_sector_otadata core/boot.c "write_entry(d, active == 0 ? 1 : 0, seq, state)"
          "write_entry(d, 0, seq, state)")
otter_bug(confirm_wrong_slot core/boot.c
          "if (active_slot(d, e) != d->running) return confirm_fallback(d, active_slot(d, e))"
          "if (active_slot(d, e) == OTTER_SLOT_NONE) return confirm_fallback(d, active_slot(d, e))")
otter_bug(record_too_early core/session.c "otter_record_progress(s->device, s->written)"
          "otter_record_progress(s->device, s->written + OTTER_SECTOR)")
otter_bug(erase_running core/session.c "otter_writer_start(&s->writer, slot, r->size)"
          "otter_writer_start(&s->writer, otter_slots_get(d, d->running), r->size)")
otter_bug(header_first core/writer.c "w->paid += MS_WRITE_SECTOR;
    uint32_t from = off == 0 ? OTTER_HEAD : 0" "uint32_t from = 0")
otter_bug(stale_header core/writer.c "w->first_kept = off > 0;
    return otter_flash_kill_image(d, w->base)" "w->first_kept = off > 0;
    return OTTER_OK")
otter_bug(given_up_header core/device.c "otter_flash_kill_image(d, s->offset)" "OTTER_OK")
otter_bug(progress_kept core/session.c "otter_record_progress(s->device, 0)" "(void)0")

# Of elastic slots.
otter_bug(data_over_old core/elastic.c "out->data = out->update.size ? between(&out->app, &out->update)"
          "out->data = out->update.size > UINT32_MAX - 1 ? between(&out->app, &out->update)")
otter_bug(shape_kept core/elastic.c "was.region.size && !otter_data_set_shape(d, NULL)" "was.region.size > UINT32_MAX - 1")
otter_bug(old_header_left core/elastic.c "covered ? OTTER_OK : otter_flash_kill_image(d, off)" "OTTER_OK")
otter_bug(image_noted_late core/data.c "if (!otter_data_set_shape(d, &shape)) return OTTER_NEEDS_SETTINGS;
    otter_setting_drop(d, image_key);" "otter_setting_drop(d, image_key);
    if (!otter_data_set_shape(d, &shape)) return OTTER_NEEDS_SETTINGS;")
