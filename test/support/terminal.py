"""Runs a program on a terminal of its own and passes on what the program writes there.

Arguments: columns, rows, then the command. Each line of its input is JSON: {"type": TEXT} types on the terminal,
{"resize": [COLUMNS, ROWS]} changes its size, {"kill": SIGNAL} signals the program. Prints the wait status at the end, on
standard error."""
import fcntl, json, os, pty, select, struct, sys, termios


def resize(descriptor, columns, rows):
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", int(rows), int(columns), 0, 0))


pid, master = pty.fork()
if pid == 0:
    resize(2, sys.argv[1], sys.argv[2])
    os.execvp(sys.argv[3], sys.argv[3:])
pending = b""
watched = [master, 0]
while True:
    ready = select.select(watched, [], [])[0]
    if master in ready:
        try:
            data = os.read(master, 65536)
        except OSError:
            break
        if not data:
            break
        os.write(1, data)
    if 0 in ready:
        data = os.read(0, 65536)
        if not data:
            watched = [master]
        *lines, pending = (pending + data).split(b"\n")
        for line in lines:
            told = json.loads(line)
            if "type" in told:
                os.write(master, told["type"].encode())
            if "resize" in told:
                resize(master, *told["resize"])
            if "kill" in told:
                os.kill(pid, told["kill"])
print(os.waitpid(pid, 0)[1], file=sys.stderr)
