// A worker that says when it is time to look ahead: every so many milliseconds, 0 for never.

let timer = 0;
onmessage = ({ data }) => {
  clearInterval(timer);
  if (data) timer = setInterval(() => postMessage(0), data);
};
