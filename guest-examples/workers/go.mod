module workers

go 1.24
