import os, select, socket, sys
try:
    s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
    s.settimeout(None)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
except Exception as e:
    sys.stderr.write(str(e))
    sys.exit(7)
os.write(1, b"+")
while True:
    r = select.select([0, s], [], [], 900)[0]
    d = s.recv(65536) if s in r else b""
    if s in r and not d or not r:
        break
    while d:
        d = d[os.write(1, d):]
    if 0 in r:
        d = os.read(0, 65536)
        if not d:
            break
        s.sendall(d)
