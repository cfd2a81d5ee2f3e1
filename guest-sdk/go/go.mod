module posixipc

go 1.24
