/* A Modbus TCP server on libmodbus. First reads what it holds, one "coil|discrete|holding|input ADDRESS VALUE" in a
 * line, to an empty line; then prints its port and serves until its input ends. */
#include <errno.h>
#include <modbus.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#define ADDRESSES 65536
#define CONNECTIONS_MAX 16

static int fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, modbus_strerror(errno));
    return 1;
}

/* Takes one line in; 0 at the empty one, -1 when it says nothing known. */
static int take(modbus_mapping_t *map)
{
    char line[64], table[16];
    unsigned address, value;
    if (fgets(line, sizeof line, stdin) == NULL || line[0] == '\n')
        return 0;
    if (sscanf(line, "%15s %u %u", table, &address, &value) != 3 || address >= ADDRESSES || value > 0xffff)
        return -1;
    if (strcmp(table, "coil") == 0)
        map->tab_bits[address] = value != 0;
    else if (strcmp(table, "discrete") == 0)
        map->tab_input_bits[address] = value != 0;
    else if (strcmp(table, "holding") == 0)
        map->tab_registers[address] = (uint16_t)value;
    else if (strcmp(table, "input") == 0)
        map->tab_input_registers[address] = (uint16_t)value;
    else
        return -1;
    return 1;
}

static void answer(modbus_t *modbus, modbus_mapping_t *map, int connection, fd_set *all)
{
    uint8_t query[MODBUS_TCP_MAX_ADU_LENGTH];
    modbus_set_socket(modbus, connection);
    int length = modbus_receive(modbus, query);
    if (length > 0)
        length = modbus_reply(modbus, query, length, map);
    if (length < 0) {
        close(connection);
        FD_CLR(connection, all);
    }
}

int main(void)
{
    modbus_t *modbus = modbus_new_tcp("127.0.0.1", 0);
    modbus_mapping_t *map = modbus_mapping_new(ADDRESSES, ADDRESSES, ADDRESSES, ADDRESSES);
    if (modbus == NULL || map == NULL)
        return fail("start");
    int taken;
    while ((taken = take(map)) > 0)
        ;
    if (taken < 0) {
        fprintf(stderr, "a line that says nothing known\n");
        return 1;
    }
    int listener = modbus_tcp_listen(modbus, CONNECTIONS_MAX);
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    if (listener < 0 || getsockname(listener, (struct sockaddr *)&address, &size) != 0)
        return fail("listen");
    printf("port %d\n", ntohs(address.sin_port));
    fflush(stdout);
    fd_set all;
    FD_ZERO(&all);
    FD_SET(STDIN_FILENO, &all);
    FD_SET(listener, &all);
    for (;;) {
        fd_set ready = all;
        if (select(FD_SETSIZE, &ready, NULL, NULL, NULL) < 0)
            return fail("select");
        if (FD_ISSET(STDIN_FILENO, &ready))
            return 0;
        for (int at = 0; at < FD_SETSIZE; at++) {
            if (!FD_ISSET(at, &ready))
                continue;
            if (at != listener) {
                answer(modbus, map, at, &all);
                continue;
            }
            int connection = modbus_tcp_accept(modbus, &listener);
            if (connection >= 0)
                FD_SET(connection, &all);
        }
    }
}
