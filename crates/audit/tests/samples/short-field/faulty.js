const Visit = define({ ip: { type: text, maxLength: 15 } });
