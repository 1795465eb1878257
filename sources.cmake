# The device's code, room by room: the same for Linux and the chip. OTTER_ROOT is this folder.
file(GLOB OTTER_FORMAT_SOURCES ${OTTER_ROOT}/format/*.c)
file(GLOB OTTER_CORE_SOURCES ${OTTER_ROOT}/core/*.c)
file(GLOB OTTER_DOOR_SOURCES ${OTTER_ROOT}/doors/*.c)
