import { MessageQueue } from "posix-ipc";

const jobs = MessageQueue.open("/{{name}}.jobs", {
    create: true,
    maxMessages: 4,
    maxMessageSize: 64,
});
jobs.send("hello from {{name}}", { priority: 3 });
const { payload, priority } = jobs.receive();
console.log(`${new TextDecoder().decode(payload)} (priority ${priority})`);
