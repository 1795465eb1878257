include(${CMAKE_CURRENT_LIST_DIR}/ports/esp_idf/elastic.cmake)
