# Elastic flash in a project's build: plans the partition table with the tool, and has it flashed in place of the one that
# ESP-IDF generates, whose generator refuses slots that overlap.
#
#   otter_elastic_table(APP 1536K [FLASH 4MB] [GROW 50%] [SHRINK 25%] [MIN_DATA 256K])
#
# after project(). APP is the app's size as it is today, the other words are those of `otter table plan`; FLASH is
# menuconfig's unless it is said. The project's own CSV must have nvs, otadata and ota_0 where the plan has them: from it
# ESP-IDF knows where to flash what, and how large the app may become.

get_filename_component(OTTER_IDF_ROOT ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE CACHE)

# The tool: OTTER_TOOL, what is built beside the sources or on the PATH, else made now with this machine's compiler.
function(otter_find_tool result)
  find_program(OTTER_TOOL otter HINTS ${OTTER_IDF_ROOT}/build NO_CMAKE_FIND_ROOT_PATH)
  if(NOT OTTER_TOOL)
    set(dir ${CMAKE_BINARY_DIR}/otter_tool)
    message(STATUS "building the otter tool in ${dir}")
    set(clean ${CMAKE_COMMAND} -E env --unset=CC --unset=CXX --unset=CFLAGS --unset=LDFLAGS)
    execute_process(COMMAND ${clean} ${CMAKE_COMMAND} -S ${OTTER_IDF_ROOT} -B ${dir} -DOTTER_TOOL_ONLY=ON OUTPUT_QUIET
                    RESULT_VARIABLE failed)
    if(NOT failed)
      execute_process(COMMAND ${clean} ${CMAKE_COMMAND} --build ${dir} --target otter OUTPUT_QUIET RESULT_VARIABLE failed)
    endif()
    if(failed)
      message(FATAL_ERROR "the otter tool could not be built (see above). It needs a C compiler, pkg-config, and the "
                          "development files of OpenSSL and cJSON; or name a built one: idf.py -DOTTER_TOOL=PATH")
    endif()
    set(OTTER_TOOL ${dir}/otter CACHE FILEPATH "the otter tool" FORCE)
  endif()
  set(${result} ${OTTER_TOOL} PARENT_SCOPE)
endfunction()

# What the CSV says must be what the plan says.
function(otter_check_row args what planned)
  partition_table_get_partition_info(offset "${args}" "offset")
  if(NOT "${offset}" STREQUAL "${planned}")
    set(where "at ${offset}")
    if("${offset}" STREQUAL "")
      set(where "not")
    endif()
    message(FATAL_ERROR "${what} is ${where} in the project's partition CSV, and at ${planned} in the elastic table. "
                        "Take the rows nvs, otadata and ota_0 from ${CMAKE_BINARY_DIR}/otter_elastic.csv, and no others.")
  endif()
endfunction()

function(otter_elastic_table)
  cmake_parse_arguments(arg "" "APP;FLASH;GROW;SHRINK;MIN_DATA" "" ${ARGN})
  if(NOT arg_APP OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "otter_elastic_table(APP size [FLASH size] [GROW n] [SHRINK n] [MIN_DATA size])")
  endif()
  if(NOT CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE)
    message(FATAL_ERROR "elastic slots need CONFIG_BOOTLOADER_APP_ROLLBACK_ENABLE (menuconfig, Bootloader config)")
  endif()
  if(NOT CONFIG_OTTER_ELASTIC)
    message(FATAL_ERROR "CONFIG_OTTER_ELASTIC is off (menuconfig, Otter firmware updates)")
  endif()
  if(NOT arg_FLASH)
    set(arg_FLASH ${CONFIG_ESPTOOLPY_FLASHSIZE})
  endif()
  set(options --flash ${arg_FLASH} --app ${arg_APP})
  foreach(name GROW SHRINK MIN_DATA)
    if(arg_${name})
      string(TOLOWER ${name} option)
      string(REPLACE "_" "-" option ${option})
      list(APPEND options --${option} ${arg_${name}})
    endif()
  endforeach()

  otter_find_tool(tool)
  set(table ${CMAKE_BINARY_DIR}/otter_elastic.bin)
  execute_process(COMMAND ${tool} table plan ${options} -o ${table} --csv ${CMAKE_BINARY_DIR}/otter_elastic.csv
                  RESULT_VARIABLE failed ERROR_VARIABLE why)
  if(failed)
    message(FATAL_ERROR "otter table plan: ${why}")
  endif()
  otter_check_row("--partition-type data --partition-subtype nvs" nvs 0x9000)
  otter_check_row("--partition-type data --partition-subtype ota" otadata 0xd000)
  otter_check_row("--partition-type app --partition-subtype ota_0" ota_0 0x10000)

  # Flashing it takes the file that was generated, so that is the one to replace, each time it is made.
  add_custom_target(
    otter_elastic_table ALL
    COMMAND ${CMAKE_COMMAND} -E copy ${table} ${CMAKE_BINARY_DIR}/partition_table/partition-table.bin
    COMMENT "the elastic partition table is flashed in place of the generated one"
    VERBATIM)
  add_dependencies(otter_elastic_table partition_table_bin)
  foreach(target flash partition-table-flash)
    if(TARGET ${target})
      add_dependencies(${target} otter_elastic_table)
    endif()
  endforeach()
endfunction()
