# Otter as an ESP-IDF component. Included by the component's CMakeLists.txt, whatever folder that is in; so all paths are
# absolute. What the program does not call, and what is off in menuconfig, the linker leaves out.
get_filename_component(OTTER_ROOT ${CMAKE_CURRENT_LIST_DIR}/../.. ABSOLUTE)
set(port ${OTTER_ROOT}/ports/esp_idf)
include(${OTTER_ROOT}/sources.cmake)

# ESP-IDF has cJSON and esp-mqtt in its tree up to v5.5; later they come by the component manager.
set(json)
set(mqtt)
if(EXISTS $ENV{IDF_PATH}/components/mqtt/CMakeLists.txt)
  set(mqtt mqtt)
endif()
if(EXISTS $ENV{IDF_PATH}/components/json/CMakeLists.txt)
  set(json json)
endif()

set(sources ${OTTER_FORMAT_SOURCES} ${OTTER_CORE_SOURCES} ${OTTER_DOOR_SOURCES} ${OTTER_ROOT}/ports/psa/crypto.c
            ${port}/chip.c ${port}/flash.c ${port}/settings.c ${port}/start.c ${port}/part_network.c)

# What is on has its part, with the files that this takes; else the part's stand-in is linked.
macro(otter_part option name)
  if(${option})
    list(APPEND sources ${port}/part_${name}.c)
    foreach(file ${ARGN})
      list(APPEND sources ${port}/${file})
    endforeach()
  else()
    list(APPEND sources ${port}/part_${name}_none.c)
  endif()
endmacro()
otter_part(CONFIG_OTTER_PUSH push http.c)
otter_part(CONFIG_OTTER_JOB job mqtt.c)
otter_part(CONFIG_OTTER_CHANNEL channel)
otter_part(CONFIG_OTTER_ELASTIC layout data.c)
if(NOT CONFIG_OTTER_PUSH)
  list(REMOVE_ITEM sources ${OTTER_ROOT}/doors/push_json.c)
endif()
if(CONFIG_OTTER_CHANNEL OR CONFIG_OTTER_JOB)
  list(APPEND sources ${port}/net.c)
endif()
if(CONFIG_OTTER_SIGNED)
  list(APPEND sources ${OTTER_ROOT}/ports/psa/verify.c)
else()
  list(REMOVE_ITEM sources ${OTTER_ROOT}/format/signature.c)
  list(APPEND sources ${port}/signature_none.c)
endif()
if(CONFIG_OTTER_DATA_SPIFFS)
  list(APPEND sources ${port}/files_spiffs.c)
elseif(CONFIG_OTTER_DATA_FAT)
  list(APPEND sources ${port}/files_fat.c)
endif()
if(CONFIG_OTTER_WIFI)
  list(APPEND sources ${port}/wifi.c)
endif()

idf_component_register(
  SRCS ${sources}
  INCLUDE_DIRS ${OTTER_ROOT} ${OTTER_ROOT}/include ${port}/include
  PRIV_REQUIRES bootloader_support efuse esp_app_format esp_event esp_http_client esp_http_server esp_netif esp_partition esp_system
                esp_timer esp-tls fatfs hal ${json} mbedtls ${mqtt} nvs_flash spi_flash spiffs)
idf_component_optional_requires(PRIVATE esp_wifi espressif__cjson cjson espressif__mqtt)

string(REPLACE "esp32" "otter_chip_esp32" chip ${IDF_TARGET})
target_compile_definitions(${COMPONENT_LIB} PUBLIC OTTER_CONFIG_FILE="otter_config_idf.h" PRIVATE OTTER_ESP_CHIP=${chip})
# There uint32_t is a long, as wide as the int that %u prints; what a format means is checked on Linux.
target_compile_options(${COMPONENT_LIB} PRIVATE -Wno-format -msave-restore)

if(CONFIG_OTTER_PUSH)
  set(page ${CMAKE_CURRENT_BINARY_DIR}/web_page.h)
  set(html ${OTTER_ROOT}/web/min/push.html)
  if(CONFIG_OTTER_CHANNEL)
    set(html ${OTTER_ROOT}/web/min/full.html)
  endif()
  add_custom_command(
    OUTPUT ${page}
    COMMAND ${CMAKE_COMMAND} -DPAGE=${html} -DOUT=${page} -P ${OTTER_ROOT}/scripts/pack_page.cmake
    DEPENDS ${html} ${OTTER_ROOT}/scripts/pack_page.cmake
    VERBATIM)
  target_sources(${COMPONENT_LIB} PRIVATE ${page})
  target_include_directories(${COMPONENT_LIB} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
endif()
